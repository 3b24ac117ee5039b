package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"golang.org/x/sync/semaphore"
)

// doors are listeners of one port that are opened on an interface when somebody is told to
// come there.
type doors struct {
	port    int
	handler http.Handler
	// secure puts TLS around a listener, nil for none.
	secure func(net.Listener) net.Listener
	// other tells of interfaces where another listener does the same.
	other func(iface string) bool

	log *slog.Logger

	// turn is of who looks at open.
	turn *semaphore.Weighted
	// open are the listeners by interface.
	open   map[string]*door
	opened chan *door
}

// door is bound to an interface by its number, which a bridge that is made anew under the
// same name does not have.
type door struct {
	iface net.Interface
	net.Listener
}

func newDoors(port int, h http.Handler, other func(string) bool, log *slog.Logger) *doors {
	return &doors{port: port, handler: h, other: other, log: log, turn: semaphore.NewWeighted(1), open: map[string]*door{}, opened: make(chan *door)}
}

// run serves what is opened, until ctx ends.
func (d *doors) run(ctx context.Context) error {
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case one := <-d.opened:
			serving.Go(func() { d.serve(ctx, one) })
		}
	}
}

// serve ends with ctx, when another door takes this one's place, or when it breaks: then
// the port is opened again for who is told to come next.
func (d *doors) serve(ctx context.Context, one *door) {
	l := one.Listener
	if d.secure != nil {
		l = d.secure(l)
	}
	err := serveHTTP(ctx, d.handler, l)
	if err == nil || d.turn.Acquire(ctx, 1) != nil {
		return
	}
	defer d.turn.Release(1)
	if d.open[one.iface.Name] == one {
		delete(d.open, one.iface.Name)
		d.log.Error("serve", "interface", one.iface.Name, "err", err)
	}
}

// listen opens the port on the interface that has the address, unless it is open.
func (d *doors) listen(ctx context.Context, addr netip.Addr) error {
	iface, err := interfaceOf(addr)
	if err != nil {
		return err
	}
	if err := d.turn.Acquire(ctx, 1); err != nil {
		return err
	}
	defer d.turn.Release(1)
	old, there := d.open[iface.Name]
	if d.other(iface.Name) || there && old.iface.Index == iface.Index {
		return nil
	}
	if there {
		delete(d.open, iface.Name)
		_ = old.Close() // its interface is gone
	}
	l, err := listen(ctx, iface.Name, portText(d.port))
	if err != nil {
		return err
	}
	one := &door{iface, l}
	select {
	case d.opened <- one:
		d.open[iface.Name] = one
		return nil
	case <-ctx.Done():
		return errors.Join(ctx.Err(), l.Close())
	}
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
