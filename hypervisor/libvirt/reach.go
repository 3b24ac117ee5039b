package libvirt

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	lv "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"ingot/hypervisor"
)

var _ hypervisor.Reacher = (*Driver)(nil)

// slirpHost is the host as guests see it through QEMU's user networking (QEMU
// documentation, "Using the user mode network stack"); it stands for the loopback.
var slirpHost = netip.MustParseAddr("10.0.2.2")

// Reach implements hypervisor.Reacher, for the daemon of this computer: the address of
// the network's bridge.
func (d *Driver) Reach(ctx context.Context, network string) (netip.Addr, error) {
	if !d.place.local {
		return netip.Addr{}, nil
	}
	if network == "" {
		var err error
		if network, err = d.usualNetwork(ctx); err != nil {
			return netip.Addr{}, err
		}
	}
	if network == userNetwork {
		return slirpHost, nil
	}
	if bridge, ok := strings.CutPrefix(network, bridgePrefix); ok {
		return interfaceAddress(bridge)
	}
	found, err := d.network(ctx, network)
	if err != nil {
		return netip.Addr{}, err
	}
	text, err := ask(ctx, d.link, fmt.Sprintf("read network %q", network), func(r *lv.Libvirt) (string, error) { return r.NetworkGetXMLDesc(found, 0) })
	if err != nil {
		return netip.Addr{}, err
	}
	var desc libvirtxml.Network
	if err := desc.Unmarshal(text); err != nil {
		return netip.Addr{}, fmt.Errorf("libvirt: read network %q: %w", network, err)
	}
	for _, ip := range desc.IPs {
		if a, err := netip.ParseAddr(ip.Address); err == nil && a.Is4() {
			return a, nil
		}
	}
	if desc.Bridge != nil {
		return interfaceAddress(desc.Bridge.Name)
	}
	return netip.Addr{}, nil
}

// interfaceAddress is the first IPv4 address of an interface; none is the zero Addr.
func interfaceAddress(name string) (netip.Addr, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("libvirt: bridge %q: %w", name, err)
	}
	addrs, err := i.Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("libvirt: addresses of bridge %q: %w", name, err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			return p.Addr(), nil
		}
	}
	return netip.Addr{}, nil
}
