package httpboot

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// gate bounds connections, in all and of one client. Connections pass it unwrapped, or
// sendfile would be lost.
type gate struct {
	slots chan struct{}
	each  int

	mu   sync.Mutex
	open map[netip.Addr]int
}

func newGate(all, each int) *gate {
	return &gate{slots: make(chan struct{}, all), each: each, open: map[netip.Addr]int{}}
}

// enter counts a connection in, or reports that its client has too many.
func (g *gate) enter(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	ip := remote(c)
	if g.open[ip] >= g.each {
		return false
	}
	g.open[ip]++
	return true
}

// state counts a connection out when it ends: an http.Server hook.
func (g *gate) state(c net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	g.mu.Lock()
	ip := remote(c)
	if g.open[ip]--; g.open[ip] <= 0 {
		delete(g.open, ip)
	}
	g.mu.Unlock()
	<-g.slots
}

func remote(c net.Conn) netip.Addr {
	from, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr().Unmap()
}

// gatedListener accepts what the gate lets in; the kernel keeps the others waiting.
type gatedListener struct {
	net.Listener
	gate *gate
}

func (l *gatedListener) Accept() (net.Conn, error) {
	for {
		l.gate.slots <- struct{}{} // a stop ends connections, and frees a slot
		c, err := l.Listener.Accept()
		if err == nil && l.gate.enter(c) {
			return c, nil
		}
		<-l.gate.slots
		if err != nil {
			return nil, err
		}
		_ = c.Close() // a client with too many connections is owed nothing
	}
}
