package facts

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/socket"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"ingot/inventory"
)

// lldpGroups are the addresses LLDP is sent to (IEEE 802.1AB-2016, 7.1): nearest bridge,
// nearest bridge that is no relay, nearest customer bridge.
var lldpGroups = [][8]byte{{0x01, 0x80, 0xc2, 0, 0, 0x0e}, {0x01, 0x80, 0xc2, 0, 0, 0x03}, {0x01, 0x80, 0xc2, 0, 0, 0x00}}

// Neighbours are what LLDP said on each interface. A nil *Neighbours knows nothing.
//
// Some NICs (Intel's i40e and ice) run an LLDP agent in their firmware, which keeps the
// frames to itself: nothing is heard there until that agent is switched off. Collect
// notes such a NIC.
type Neighbours struct {
	log    *slog.Logger
	now    func() time.Time
	accept func(ifname string) bool
	conn   *socket.Conn
	links  *netlink.Handle
	owned  sync.WaitGroup

	changed chan struct{}
	mu      sync.Mutex
	names   map[int]string // of accepted interfaces, by index
	known   map[string]entry
}

// entry is a neighbour and when it is to be forgotten.
type entry struct {
	neighbour inventory.Neighbour
	until     time.Time
}

// Listen brings up every interface that has hardware, those to come as well, and listens
// on them for LLDP until ctx ends. A switch speaks every 30 s, so it is started early and
// Collect takes what came by then. Call Wait after ctx has ended. A nil log means discard.
// It needs CAP_NET_RAW and CAP_NET_ADMIN.
func Listen(ctx context.Context, log *slog.Logger) (*Neighbours, error) {
	return listen(ctx, log, newTree("/").hardware)
}

func listen(ctx context.Context, log *slog.Logger, accept func(string) bool) (*Neighbours, error) {
	n := newNeighbours(log, time.Now, accept)
	var err error
	if n.links, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("listen for LLDP: open netlink: %w", err)
	}
	// The protocol in network byte order; not bound, it hears all interfaces.
	proto := int(etherTypeLLDP&0xff)<<8 | etherTypeLLDP>>8
	if n.conn, err = socket.Socket(unix.AF_PACKET, unix.SOCK_RAW, proto, "lldp", nil); err != nil {
		n.links.Close()
		return nil, fmt.Errorf("listen for LLDP: open packet socket: %w", err)
	}
	var parts sync.WaitGroup
	parts.Go(func() { n.watch(ctx) })
	parts.Go(func() { n.receive(ctx) })
	n.owned.Go(func() {
		parts.Wait()
		n.links.Close()
		n.conn.Close()
	})
	return n, nil
}

func newNeighbours(log *slog.Logger, now func() time.Time, accept func(string) bool) *Neighbours {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Neighbours{log: log, now: now, accept: accept, changed: make(chan struct{}, 1), names: map[int]string{}, known: map[string]entry{}}
}

// Get returns who is at the other end of an interface's cable, nil when nobody told, or
// when what was told has run out.
func (n *Neighbours) Get(ifname string) *inventory.Neighbour {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.known[ifname]
	if !ok || !n.now().Before(e.until) {
		return nil
	}
	return &e.neighbour
}

// Changed gets a value after a neighbour came, changed or said goodbye; several changes
// may give one. Interfaces are not named: Get has the state. Who acts on it bounds how
// often, since the cable's other end decides how often it changes.
func (n *Neighbours) Changed() <-chan struct{} {
	if n == nil {
		return nil
	}
	return n.changed
}

// Join returns a copy of the facts with what is known by now of each NIC's neighbour. It
// reads nothing else, so it may be used while a disk is written.
func (n *Neighbours) Join(f *inventory.Facts) *inventory.Facts {
	joined := *f
	joined.NICs = slices.Clone(f.NICs)
	for i := range joined.NICs {
		joined.NICs[i].Neighbour = n.Get(joined.NICs[i].Name)
	}
	return &joined
}

// Wait returns when the listener has ended and its sockets are closed.
func (n *Neighbours) Wait() {
	if n != nil {
		n.owned.Wait()
	}
}

func (n *Neighbours) signal() {
	select {
	case n.changed <- struct{}{}:
	default: // one is waiting already
	}
}

// receive reads frames until ctx ends.
func (n *Neighbours) receive(ctx context.Context) {
	buf := make([]byte, 2048) // a frame is one Ethernet payload
	for {
		size, from, err := n.conn.Recvfrom(ctx, buf, 0)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			n.log.Debug("receive LLDP", "err", err) // ENETDOWN when an interface goes
			continue
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype != unix.PACKET_OUTGOING {
			n.frame(ll.Ifindex, buf[:size])
		}
	}
}

func (n *Neighbours) frame(index int, frame []byte) {
	n.mu.Lock()
	name := n.names[index]
	n.mu.Unlock()
	if name == "" {
		return
	}
	h, err := parseLLDP(frame)
	if err != nil {
		n.log.Debug("LLDP frame is not valid", "interface", name, "err", err)
		return
	}
	n.hear(name, h)
}

// hear takes one frame. On a port where several speak (a switch that forwards LLDP) the
// first one stays until it falls silent, so that the facts don't flap.
func (n *Neighbours) hear(name string, h heard) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	old, ok := n.known[name]
	ok = ok && now.Before(old.until)
	same := old.neighbour.ChassisID == h.neighbour.ChassisID && old.neighbour.PortID == h.neighbour.PortID
	switch {
	case ok && !same:
		return
	case h.ttl == 0:
		delete(n.known, name)
		if ok {
			n.signal()
		}
		return
	}
	n.known[name] = entry{h.neighbour, now.Add(h.ttl)}
	if !ok || old.neighbour != h.neighbour {
		n.log.Info("LLDP neighbour", "interface", name, "system", h.neighbour.SystemName, "port", h.neighbour.PortID)
		n.signal()
	}
}

// forget drops what an interface told: its cable is out.
func (n *Neighbours) forget(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.known[name]; ok {
		delete(n.known, name)
		n.signal()
	}
}
