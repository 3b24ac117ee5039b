package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"

	"ingot/inventory"
)

// Times of the agent's DHCP client.
const (
	linkWait  = 10 * time.Second
	dhcpWait  = 4 * time.Second
	dhcpTries = 3
)

// lease is a configured interface.
type lease struct {
	iface   string
	address netip.Prefix
	gateway netip.Addr
	renew   time.Duration
	raw     *nclient4.Lease
}

// connect brings up the boot NIC, or, when it isn't known, the first NIC with a link
// that gets an address. It tries until ctx ends.
func connect(ctx context.Context, mac inventory.MAC, log *slog.Logger) (*lease, error) {
	if err := up("lo"); err != nil {
		log.Warn("bring up loopback", "err", err)
	}
	for {
		var errs []error
		for _, name := range candidates(mac) {
			l, err := configure(ctx, name)
			if err == nil {
				log.Info("network is up", "interface", l.iface, "address", l.address, "gateway", l.gateway)
				return l, nil
			}
			errs = append(errs, err)
		}
		log.Warn("no network yet", "mac", mac, "interfaces", candidates(""), "err", errors.Join(errs...))
		if err := sleep(ctx, 2*time.Second); err != nil {
			return nil, fmt.Errorf("bring up the network: %w", err)
		}
	}
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

// candidates are the interfaces to try: the one with the MAC, or all that have hardware.
func candidates(mac inventory.MAC) []string {
	links, err := netlink.LinkList()
	if err != nil {
		return nil
	}
	var out []string
	for _, l := range links {
		a := l.Attrs()
		if a.HardwareAddr.String() == string(mac) {
			return []string{a.Name}
		}
		if _, err := os.Stat(filepath.Join("/sys/class/net", a.Name, "device")); err == nil && mac == "" {
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

// configure brings up one interface and asks DHCP for its address.
func configure(ctx context.Context, name string) (*lease, error) {
	if err := up(name); err != nil {
		return nil, err
	}
	if err := carrier(ctx, name); err != nil {
		return nil, err
	}
	client, err := nclient4.New(name, nclient4.WithTimeout(dhcpWait), nclient4.WithRetry(dhcpTries))
	if err != nil {
		return nil, fmt.Errorf("DHCP on %s: %w", name, err)
	}
	defer client.Close()
	raw, err := client.Request(ctx, dhcpv4.WithOption(dhcpv4.OptClassIdentifier("ingot-agent")))
	if err != nil {
		return nil, fmt.Errorf("DHCP on %s: %w", name, err)
	}
	l := &lease{iface: name, raw: raw}
	return l, l.apply(raw.ACK)
}

// carrier waits for the link: auto-negotiation takes seconds on real switches.
func carrier(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, linkWait)
	defer cancel()
	for {
		state, err := os.ReadFile(filepath.Join("/sys/class/net", name, "carrier"))
		if err == nil && len(state) > 0 && state[0] == '1' {
			return nil
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("interface %s has no link after %s", name, linkWait)
		}
	}
}

// apply configures address and default route as the server said.
func (l *lease) apply(ack *dhcpv4.DHCPv4) error {
	ip, ok := netip.AddrFromSlice(ack.YourIPAddr.To4())
	ones, _ := ack.SubnetMask().Size()
	if !ok || ones == 0 {
		return fmt.Errorf("DHCP on %s: server gave address %s with mask %s", l.iface, ack.YourIPAddr, net.IP(ack.SubnetMask()))
	}
	l.address = netip.PrefixFrom(ip, ones)
	l.renew = ack.IPAddressLeaseTime(time.Hour) / 2
	link, err := netlink.LinkByName(l.iface)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", l.iface, err)
	}
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: ipNet(l.address)}); err != nil {
		return fmt.Errorf("set address %s on %s: %w", l.address, l.iface, err)
	}
	if routers := ack.Router(); len(routers) > 0 {
		l.gateway, _ = netip.AddrFromSlice(routers[0].To4())
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: routers[0]}
		if err := netlink.RouteReplace(route); err != nil {
			return fmt.Errorf("set default route by %s: %w", routers[0], err)
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

// keep renews the lease until ctx ends.
func (l *lease) keep(ctx context.Context, log *slog.Logger) error {
	for {
		if err := sleep(ctx, max(l.renew, 10*time.Second)); err != nil {
			return nil
		}
		if err := l.renewOnce(ctx); err != nil {
			log.Warn("renew lease", "err", err)
		}
	}
}

func (l *lease) renewOnce(ctx context.Context) error {
	client, err := nclient4.New(l.iface, nclient4.WithTimeout(dhcpWait), nclient4.WithRetry(dhcpTries))
	if err != nil {
		return err
	}
	defer client.Close()
	raw, err := client.Renew(ctx, l.raw)
	if err != nil {
		return err
	}
	l.raw = raw
	return l.apply(raw.ACK)
}
