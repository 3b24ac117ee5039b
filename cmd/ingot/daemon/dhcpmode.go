package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"ingot/inventory"
	"ingot/pxe/dhcp"
)

// networks hands the inventory's networks to DHCP, with the mode that each may have now.
type networks struct {
	store inventory.Store
	dhcp  *dhcp.Server
	table interface{ SetNetworks([]inventory.Network) }
	// forced is the mode from flag or file, empty for "decide by itself".
	forced inventory.DHCPMode
	now    func() time.Time
	log    *slog.Logger

	mu sync.Mutex
	// leading are networks that were found safe to lead.
	leading map[string]bool
}

// ensure makes networks of the interfaces' subnets that the inventory doesn't have.
func (n *networks) ensure(ctx context.Context, interfaces []string) error {
	return n.store.Update(ctx, func(x inventory.Tx) error {
		have, err := x.Networks(ctx)
		if err != nil {
			return err
		}
		for _, name := range interfaces {
			made, err := interfaceNetworks(name, inventory.DHCPProxy, have)
			if err != nil {
				return err
			}
			for _, net := range made {
				if err := x.PutNetwork(ctx, net); err != nil {
					return err
				}
				n.log.Info("network of interface", "interface", name, "network", net.Name, "subnet", net.Subnet)
			}
			have = append(have, made...)
		}
		return nil
	})
}

// apply reads the networks and hands them on.
func (n *networks) apply(ctx context.Context) error {
	var list []inventory.Network
	var addrs []inventory.Address
	err := n.store.View(ctx, func(x inventory.Tx) error {
		var err, err2 error
		list, err = x.Networks(ctx)
		addrs, err2 = x.Addresses(ctx, "")
		return errors.Join(err, err2)
	})
	if err != nil {
		return fmt.Errorf("apply networks: %w", err)
	}
	for i := range list {
		list[i].DHCP = n.mode(list[i])
	}
	n.dhcp.SetAddresses(addrs)
	n.dhcp.SetNetworks(list)
	n.table.SetNetworks(list)
	return nil
}

// mode is the mode that a network has: the forced one, what was found to be safe, or what
// is configured.
func (n *networks) mode(net inventory.Network) inventory.DHCPMode {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.forced != "":
		return n.forced
	case n.leading[net.Name]:
		return inventory.DHCPAuthoritative
	}
	return net.DHCP
}

// decide finds out, for each interface, what Ingot may do there by itself. It takes half
// a minute, in which the networks are proxy.
func (n *networks) decide(ctx context.Context, interfaces []string) error {
	if n.forced != "" {
		return nil
	}
	for _, name := range interfaces {
		mode, why, err := n.chooseMode(ctx, name)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			n.log.Warn("choose DHCP mode", "interface", name, "err", err)
		}
		n.log.Info("DHCP mode", "interface", name, "mode", mode, "why", why)
		if mode != inventory.DHCPAuthoritative {
			continue
		}
		if err := n.lead(ctx, name, why); err != nil {
			return err
		}
	}
	return nil
}

func (n *networks) chooseMode(ctx context.Context, iface string) (inventory.DHCPMode, string, error) {
	ground, err := dhcp.ReadGround(iface)
	if err != nil {
		return inventory.DHCPProxy, "", err
	}
	return dhcp.ChooseMode(ctx, ground, func(ctx context.Context) ([]dhcp.OtherServer, error) {
		return dhcp.ProbeServers(ctx, iface, dhcp.Probing{})
	})
}

// lead makes Ingot authoritative on the networks that were made for an interface.
func (n *networks) lead(ctx context.Context, iface, why string) error {
	err := n.store.Update(ctx, func(x inventory.Tx) error {
		list, err := x.Networks(ctx)
		if err != nil {
			return err
		}
		for _, net := range list {
			if net.Name != networkName(iface, 0) && !strings.HasPrefix(net.Name, networkName(iface, 0)+"-") {
				continue
			}
			n.mu.Lock()
			n.leading[net.Name] = true
			n.mu.Unlock()
			e, err := inventory.NewEvent(nil, n.now(), inventory.DHCPModeChanged{Network: net.Name, Mode: inventory.DHCPAuthoritative, Why: why})
			if err != nil {
				return err
			}
			if _, err := x.AddEvent(ctx, e); err != nil {
				return err
			}
			n.log.Info("DHCP is authoritative", "network", net.Name, "pools", slices.Clone(net.Pools))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return n.apply(ctx)
}
