package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"

	"ingot/hypervisor"
	"ingot/inventory"
)

// guests are the listeners that VMs phone home to: one on each interface where some
// host's guests reach this computer, opened when the first VM there is made.
type guests struct {
	port, advertised int
	handler          http.Handler
	// interfaces have the machine listener.
	interfaces []string
	// given is the configured URL, for networks where this computer can't tell.
	given string

	// turn is of who looks at open.
	turn *semaphore.Weighted
	// open are the listeners by interface.
	open   map[string]guestListener
	opened chan net.Listener
}

// guestListener is bound to an interface by its number, which a bridge that is made anew
// under the same name does not have.
type guestListener struct {
	index int
	net.Listener
}

func newGuests(m Machine, interfaces []string, h http.Handler) *guests {
	return &guests{port: m.HTTPPort, advertised: m.advertised(), given: m.URL, handler: h, interfaces: interfaces, turn: semaphore.NewWeighted(1), open: map[string]guestListener{}, opened: make(chan net.Listener)}
}

// run serves what is opened, until ctx ends.
func (g *guests) run(ctx context.Context) error {
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-g.opened:
			serving.Go(func() { _ = serveHTTP(ctx, g.handler, l) }) // ends when another takes its place
		}
	}
}

// base is the URL under which guests on a host's network reach this computer.
func (g *guests) base(ctx context.Context, h inventory.Host, network string, driver hypervisor.Driver) (string, error) {
	if g.given != "" {
		return g.given, nil
	}
	var addr netip.Addr
	if r, ok := driver.(hypervisor.Reacher); ok {
		var err error
		if addr, err = r.Reach(ctx, network); err != nil {
			return "", err
		}
	}
	if !addr.IsValid() {
		var err error
		if addr, err = towards(ctx, h); err != nil {
			return "", err
		}
	}
	if err := g.listen(ctx, addr); err != nil {
		return "", err
	}
	return "http://" + netip.AddrPortFrom(addr, uint16(g.advertised)).String(), nil
}

// towards is this computer's address on the way to a far host; the guests' network is
// taken to know the same way back.
func towards(ctx context.Context, h inventory.Host) (netip.Addr, error) {
	u, err := url.Parse(h.URL)
	if err != nil || u.Hostname() == "" {
		return netip.Addr{}, fmt.Errorf("where do guests on host %s reach this computer? set machine.url: %w", h.Name, inventory.ErrInvalid)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "udp4", net.JoinHostPort(u.Hostname(), "9")) // sends nothing
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find the way to host %s: %w", h.Name, err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// listen opens the port on the interface that has the address, unless the machine
// listener has it, or it is open.
func (g *guests) listen(ctx context.Context, addr netip.Addr) error {
	iface, err := interfaceOf(addr)
	if err != nil {
		return err
	}
	if err := g.turn.Acquire(ctx, 1); err != nil {
		return err
	}
	defer g.turn.Release(1)
	old, there := g.open[iface.Name]
	if g.machine(iface.Name) || there && old.index == iface.Index {
		return nil
	}
	if there {
		_ = old.Close() // its interface is gone
		delete(g.open, iface.Name)
	}
	l, err := listen(ctx, iface.Name, portText(g.port))
	if err != nil {
		return err
	}
	select {
	case g.opened <- l:
		g.open[iface.Name] = guestListener{iface.Index, l}
		return nil
	case <-ctx.Done():
		return errors.Join(ctx.Err(), l.Close())
	}
}

// machine reports whether the machine listener is on an interface.
func (g *guests) machine(iface string) bool {
	return slices.Contains(g.interfaces, iface) || len(g.interfaces) == 0 && iface == loopback
}

// loopback is where guests of QEMU's user network come from, whose address for this
// computer no interface has.
const loopback = "lo"

// interfaceOf finds the interface that has an address.
func interfaceOf(addr netip.Addr) (net.Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return net.Interface{}, fmt.Errorf("list interfaces: %w", err)
	}
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			return i, fmt.Errorf("addresses of %s: %w", i.Name, err)
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr() == addr {
				return i, nil
			}
		}
	}
	lo, err := net.InterfaceByName(loopback)
	if err != nil {
		return net.Interface{}, fmt.Errorf("find loopback: %w", err)
	}
	return *lo, nil
}
