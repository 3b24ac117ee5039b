package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"ingot/hypervisor"
	"ingot/inventory"
)

// refreshEvery is how often hosts are asked for their machines' addresses, and refreshTime
// how long one may take to answer.
const (
	refreshEvery = 10 * time.Second
	refreshTime  = 30 * time.Second
)

// refresh keeps the addresses of machines current, until ctx ends: an installed system
// tells its own once, when it phones home, and some never do. After a restart it is also
// what makes the server listen again for those that boot for the first time.
func (f *Fleet) refresh(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		if err := f.Refresh(ctx); err != nil && ctx.Err() == nil {
			f.log.Warn("ask hosts for addresses", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Refresh asks each host that has machines running, in one call a host, and stores the
// addresses that changed.
func (f *Fleet) Refresh(ctx context.Context) error {
	byHost := map[string][]*inventory.Machine{}
	var leases []inventory.Address
	var hosts []inventory.Host
	err := f.cfg.Store.View(ctx, func(x inventory.Tx) error {
		machines, err := x.Machines(ctx)
		if err != nil {
			return err
		}
		if hosts, err = x.Hosts(ctx); err != nil {
			return err
		}
		for _, m := range machines {
			if m.Status.VM != nil && (m.Status.State == inventory.Deployed || m.Status.Phase == inventory.PhaseFirstBoot) {
				byHost[m.Spec.VM.Host] = append(byHost[m.Spec.VM.Host], m)
			}
		}
		if len(byHost) > 0 {
			leases, err = x.Addresses(ctx, "")
		}
		return err
	})
	if err == nil {
		f.leave(hosts)
	}
	var asking errgroup.Group
	asking.SetLimit(atOnce)
	for host, machines := range byHost {
		asking.Go(func() error {
			if err := f.refreshHost(ctx, host, machines, leases); err != nil && ctx.Err() == nil {
				f.log.Warn("ask for addresses", "host", host, "err", err)
			}
			return nil
		})
	}
	return errors.Join(err, asking.Wait())
}

func (f *Fleet) refreshHost(ctx context.Context, host string, machines []*inventory.Machine, leases []inventory.Address) error {
	ctx, cancel := context.WithTimeout(ctx, refreshTime)
	defer cancel()
	c, err := f.connect(ctx, host)
	if err != nil {
		return err
	}
	for _, m := range machines {
		if m.Status.Phase != inventory.PhaseFirstBoot {
			continue
		}
		if err := f.cfg.Listen(ctx, m, c.host, c.driver); err != nil {
			return fmt.Errorf("listen for the phone-home of %s: %w", m.Name, err)
		}
	}
	all, err := c.driver.List(ctx)
	if err != nil {
		return err
	}
	for _, m := range machines {
		i := slices.IndexFunc(all, func(vm hypervisor.VM) bool { return vm.ID == m.ID })
		if i < 0 {
			continue // ingot vm drift tells
		}
		if err := f.found(ctx, m, reachable(all[i], leases, f.cfg.Now())); err != nil {
			return err
		}
	}
	return nil
}

// sources in the order in which they are believed.
var sources = []hypervisor.AddressSource{hypervisor.FromAgent, hypervisor.FromTools, hypervisor.FromLease, hypervisor.FromDHCP, hypervisor.FromARP}

// reachable are a machine's addresses, the best first; our own DHCP server's leases are
// among the sources.
func reachable(vm hypervisor.VM, leases []inventory.Address, now time.Time) []hypervisor.Address {
	var out []hypervisor.Address
	for _, n := range vm.NICs {
		out = append(out, n.Addresses...)
		for _, l := range leases {
			if l.MAC == n.MAC && l.Use == inventory.AddressLeased && l.Expires.After(now) {
				out = append(out, hypervisor.Address{IP: l.IP, Source: hypervisor.FromDHCP})
			}
		}
	}
	out = slices.DeleteFunc(out, func(a hypervisor.Address) bool {
		return !a.IP.IsValid() || a.IP.IsLoopback() || a.IP.IsLinkLocalUnicast()
	})
	slices.SortStableFunc(out, func(a, b hypervisor.Address) int {
		if a.IP.Is4() != b.IP.Is4() {
			return boolFirst(a.IP.Is4(), b.IP.Is4())
		}
		return slices.Index(sources, a.Source) - slices.Index(sources, b.Source)
	})
	return out
}

// found stores the best address, unless the one that is known is among them.
func (f *Fleet) found(ctx context.Context, m *inventory.Machine, addresses []hypervisor.Address) error {
	known := func(ip netip.Addr) bool {
		return slices.ContainsFunc(addresses, func(a hypervisor.Address) bool { return a.IP == ip })
	}
	if len(addresses) == 0 || known(m.Status.Address) {
		return nil
	}
	return f.cfg.Store.Update(ctx, func(x inventory.Tx) error {
		now, err := x.Machine(ctx, m.ID)
		if err != nil {
			return err
		}
		if known(now.Status.Address) {
			return nil
		}
		now.Status.Address, now.Status.AddressSource = addresses[0].IP, string(addresses[0].Source)
		return x.PutMachine(ctx, now)
	})
}
