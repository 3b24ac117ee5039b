package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"ingot/inventory"
)

// Times of bringing up the network.
const (
	// linkWait is how long one round waits for a link; auto-negotiation and spanning tree
	// take seconds on real switches. Rounds go on until there is one.
	linkWait = 10 * time.Second
	linkLook = 50 * time.Millisecond
	// reachWait is for one TCP connection to the server.
	reachWait = 3 * time.Second
	roundWait = time.Second
)

// connector brings up the network.
type connector struct {
	// mac is the NIC that the machine booted from, empty when it isn't known.
	mac inventory.MAC
	// server is the "host:port" that must be reached.
	server string
	// plug loads drivers of devices that came late.
	plug func() error
	log  *slog.Logger
}

// connect brings up the boot NIC. When it isn't known it tries those that have a link, and
// keeps the first from which the server is reached. It tries until ctx ends.
func (c connector) connect(ctx context.Context) (*lease, error) {
	if err := up("lo"); err != nil {
		c.log.Warn("bring up loopback", "err", err)
	}
	for {
		l, err := c.round(ctx)
		if err == nil {
			c.log.Info("network is up", "interface", l.iface, "address", l.address, "gateway", l.gateway, "after", sinceKernel())
			return l, nil
		}
		c.log.Warn("no network yet", "mac", c.mac, "interfaces", interfaces(""), "err", err)
		if err := errors.Join(c.plug(), sleep(ctx, roundWait)); ctx.Err() != nil {
			return nil, fmt.Errorf("bring up the network: %w", err)
		}
	}
}

// round tries each interface once.
func (c connector) round(ctx context.Context) (*lease, error) {
	names := interfaces(c.mac)
	if len(names) == 0 {
		return nil, fmt.Errorf("no interface has MAC %q: its driver is missing, or not loaded yet", c.mac)
	}
	var errs []error
	for _, name := range names {
		if err := up(name); err != nil {
			errs = append(errs, err)
		}
	}
	linked, err := links(ctx, names)
	l, cerr := c.choose(ctx, linked)
	if cerr != nil {
		return nil, errors.Join(append(errs, err, cerr)...)
	}
	return l, nil
}

// choose asks on all interfaces at once, since each silent one takes its time, and keeps
// the first lease that is of use.
func (c connector) choose(ctx context.Context, names []string) (*lease, error) {
	type answer struct {
		lease *lease
		err   error
	}
	answers := make(chan answer, len(names))
	var asking sync.WaitGroup
	defer asking.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, name := range names {
		asking.Go(func() {
			l, err := request(ctx, name, c.mac == "")
			answers <- answer{l, err}
		})
	}
	errs := []error{errNoAnswers}
	for range names {
		a := <-answers
		if a.err == nil {
			a.err = c.use(ctx, a.lease)
		}
		if a.err == nil {
			return a.lease, nil
		}
		errs = append(errs, a.err)
	}
	return nil, errors.Join(errs...)
}

var errNoAnswers = errors.New("no interface leads to the server")

// use configures a lease. With a choice of interfaces it must lead to the server.
func (c connector) use(ctx context.Context, l *lease) error {
	if err := l.configure(); err != nil || c.mac != "" {
		return err
	}
	d := net.Dialer{Timeout: reachWait}
	conn, err := d.DialContext(ctx, "tcp", c.server)
	if err != nil {
		return errors.Join(fmt.Errorf("interface %s does not lead to the server: %w", l.iface, err), l.remove())
	}
	return conn.Close()
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// interfaces are the one with the MAC, or, with none given, all that have hardware.
func interfaces(mac inventory.MAC) []string {
	list, err := netlink.LinkList()
	if err != nil {
		return nil
	}
	var out []string
	for _, l := range list {
		a := l.Attrs()
		if mac != "" {
			if a.HardwareAddr.String() == string(mac) {
				return []string{a.Name}
			}
			continue
		}
		if _, err := os.Stat(filepath.Join("/sys/class/net", a.Name, "device")); err == nil {
			out = append(out, a.Name)
		}
	}
	slices.Sort(out)
	return out
}

func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring up %s: %w", name, err)
	}
	return nil
}

// links waits until one of the interfaces has a link, and returns those that have. The
// error names those that have none.
func links(ctx context.Context, names []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, linkWait)
	defer cancel()
	for {
		linked := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !hasLink(name) })
		if len(linked) > 0 {
			return linked, nil
		}
		if err := sleep(ctx, linkLook); err != nil {
			return nil, fmt.Errorf("no link on %v after %s: is the cable in, and the switch port on?", names, linkWait)
		}
	}
}

func hasLink(name string) bool {
	state, err := os.ReadFile(filepath.Join("/sys/class/net", name, "carrier")) // EINVAL while it is down
	return err == nil && len(state) > 0 && state[0] == '1'
}
