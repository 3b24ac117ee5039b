package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Times of the agent's DHCP client.
const (
	dhcpWait  = 4 * time.Second
	dhcpTries = 3
	// renewMin bounds how often a lease is renewed, and is the pause after a failure.
	renewMin = 10 * time.Second
)

// lease is an interface's address. It is not changed: another lease takes its place.
type lease struct {
	iface   string
	address netip.Prefix
	gateway netip.Addr
	renew   time.Duration
	raw     *nclient4.Lease
}

// agentClass is the agent's vendor class (option 60).
const agentClass = "ingot-agent"

// request asks DHCP for a lease. One from media also names the machine's architecture
// (option 93): the server may serve only machines that it knows and network boots, and it
// has not seen this one boot.
func request(ctx context.Context, iface string, media bool) (*lease, error) {
	options := []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptClassIdentifier(agentClass))}
	if media {
		options = append(options, dhcpv4.WithOption(dhcpv4.OptClientArch(architecture())))
	}
	return exchange(iface, func(c *nclient4.Client) (*nclient4.Lease, error) { return c.Request(ctx, options...) })
}

func architecture() iana.Arch {
	if (firmware{"/sys/firmware/efi"}).present() {
		return iana.EFI_X86_64
	}
	return iana.INTEL_X86PC
}

// renewed extends the lease, or gets another one when the server doesn't know it any
// more or is silent. It is configured, and in the place of l.
func (l *lease) renewed(ctx context.Context) (*lease, error) {
	next, err := exchange(l.iface, func(c *nclient4.Client) (*nclient4.Lease, error) { return c.Renew(ctx, l.raw) })
	if err != nil && ctx.Err() == nil {
		next, err = request(ctx, l.iface, false)
	}
	if err != nil {
		return nil, err
	}
	// The old address goes first: the kernel removes the later addresses of a subnet with
	// the first one (Linux, Documentation/networking/ip-sysctl.rst: promote_secondaries).
	if next.address != l.address {
		err = l.removeAddress()
	}
	return next, errors.Join(err, next.configure())
}

func exchange(iface string, ask func(*nclient4.Client) (*nclient4.Lease, error)) (*lease, error) {
	client, err := nclient4.New(iface, nclient4.WithTimeout(dhcpWait), nclient4.WithRetry(dhcpTries))
	if err != nil {
		return nil, fmt.Errorf("DHCP on %s: %w", iface, err)
	}
	defer client.Close()
	raw, err := ask(client)
	if err != nil {
		return nil, fmt.Errorf("DHCP on %s: %w", iface, err)
	}
	return parseLease(iface, raw)
}

// parseLease reads what the server gave.
func parseLease(iface string, raw *nclient4.Lease) (*lease, error) {
	ack := raw.ACK
	ip, ok := netip.AddrFromSlice(ack.YourIPAddr.To4())
	ones, bits := ack.SubnetMask().Size()
	if !ok || ip.IsUnspecified() || ones == 0 || bits != 32 {
		return nil, fmt.Errorf("DHCP on %s: server gave address %s with mask %s", iface, ack.YourIPAddr, net.IP(ack.SubnetMask()))
	}
	l := &lease{iface: iface, address: netip.PrefixFrom(ip, ones), raw: raw, renew: max(ack.IPAddressLeaseTime(time.Hour)/2, renewMin)}
	if t1 := ack.IPAddressRenewalTime(0); t1 > 0 {
		l.renew = max(t1, renewMin)
	}
	if routers := ack.Router(); len(routers) > 0 {
		l.gateway, _ = netip.AddrFromSlice(routers[0].To4())
	}
	return l, nil
}

// configure sets the address and the default route.
func (l *lease) configure() error {
	link, err := netlink.LinkByName(l.iface)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", l.iface, err)
	}
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: ipNet(l.address)}); err != nil {
		return fmt.Errorf("set address %s on %s: %w", l.address, l.iface, err)
	}
	if !l.gateway.IsValid() {
		return nil
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: l.gateway.AsSlice()}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("set default route by %s: %w", l.gateway, err)
	}
	return nil
}

// remove undoes configure.
func (l *lease) remove() error {
	link, err := netlink.LinkByName(l.iface)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", l.iface, err)
	}
	if l.gateway.IsValid() {
		err = netlink.RouteDel(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: l.gateway.AsSlice()})
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("remove default route by %s: %w", l.gateway, err)
		}
	}
	return l.removeAddress()
}

// removeAddress removes what the lease no longer stands for; the kernel removes the
// routes with it.
func (l *lease) removeAddress() error {
	link, err := netlink.LinkByName(l.iface)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", l.iface, err)
	}
	err = netlink.AddrDel(link, &netlink.Addr{IPNet: ipNet(l.address)})
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("remove address %s from %s: %w", l.address, l.iface, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

// keep renews the lease until ctx ends, and tells changed when the address is another
// one. A server that is silent costs nothing: the address stays until there is a new one,
// since without it nothing could be told at all.
func (l *lease) keep(ctx context.Context, log *slog.Logger, changed func(*lease)) error {
	for pause := l.renew; ; {
		if sleep(ctx, pause) != nil {
			return nil
		}
		next, err := l.renewed(ctx)
		if next == nil {
			log.Warn("renew lease", "interface", l.iface, "err", err)
			pause = renewMin
			continue
		}
		if err != nil {
			log.Warn("renew lease", "interface", l.iface, "err", err)
		}
		moved := next.address != l.address
		l, pause = next, next.renew
		if moved {
			log.Info("address changed", "interface", l.iface, "address", l.address)
			changed(l)
		}
	}
}
