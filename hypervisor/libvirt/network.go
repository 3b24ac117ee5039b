package libvirt

import (
	"context"
	"fmt"
	"strings"

	lv "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"ingot/hypervisor"
	"ingot/inventory"
)

// What a NIC's Network can say beside the name of a libvirt network.
const (
	bridgePrefix   = "bridge:" // "bridge:br0" is a bridge of the host
	userNetwork    = "user"    // QEMU's own, through the host's sockets (SLIRP)
	defaultNetwork = "default"
)

// nics describes the NICs, after a look whether there are such networks.
func (d *Driver) nics(ctx context.Context, specs []hypervisor.NICSpec) ([]libvirtxml.DomainInterface, error) {
	var all []libvirtxml.DomainInterface
	for _, spec := range specs {
		n, err := d.nic(ctx, spec)
		if err != nil {
			return nil, err
		}
		n.MAC = &libvirtxml.DomainInterfaceMAC{Address: string(spec.MAC)}
		n.Model = &libvirtxml.DomainInterfaceModel{Type: "virtio"}
		all = append(all, n)
	}
	return all, nil
}

func (d *Driver) nic(ctx context.Context, spec hypervisor.NICSpec) (n libvirtxml.DomainInterface, err error) {
	name := spec.Network
	if name == "" {
		if name, err = d.usualNetwork(ctx); err != nil {
			return n, err
		}
	}
	bridge, isBridge := strings.CutPrefix(name, bridgePrefix)
	switch {
	case name == userNetwork:
		n.Source = &libvirtxml.DomainInterfaceSource{User: &libvirtxml.DomainInterfaceSourceUser{}}
	case isBridge:
		n.Source = &libvirtxml.DomainInterfaceSource{Bridge: &libvirtxml.DomainInterfaceSourceBridge{Bridge: bridge}}
	default:
		return d.networkNIC(ctx, name, spec.VLAN)
	}
	if spec.VLAN != 0 {
		return n, fmt.Errorf("libvirt: VLAN %d on %q: libvirt tags only on a network of Open vSwitch: %w", spec.VLAN, name, inventory.ErrUnsupported)
	}
	return n, nil
}

// usualNetwork is libvirt's network "default"; a user's own daemon has none.
func (d *Driver) usualNetwork(ctx context.Context) (string, error) {
	_, err := d.network(ctx, defaultNetwork)
	if missing(err) && d.place.session {
		return userNetwork, nil
	}
	return defaultNetwork, err
}

func (d *Driver) network(ctx context.Context, name string) (lv.Network, error) {
	return ask(ctx, d.link, fmt.Sprintf("find network %q", name), func(r *lv.Libvirt) (lv.Network, error) { return r.NetworkLookupByName(name) })
}

// networkNIC is a NIC on a network of libvirt's. Only Open vSwitch takes a tag; elsewhere
// the domain would start untagged or not at all (formatdomain, "Setting VLAN tag").
func (d *Driver) networkNIC(ctx context.Context, name string, vlan int) (n libvirtxml.DomainInterface, err error) {
	found, err := d.network(ctx, name)
	if err != nil {
		return n, err
	}
	n.Source = &libvirtxml.DomainInterfaceSource{Network: &libvirtxml.DomainInterfaceSourceNetwork{Network: name}}
	if vlan == 0 {
		return n, nil
	}
	text, err := ask(ctx, d.link, fmt.Sprintf("read network %q", name), func(r *lv.Libvirt) (string, error) { return r.NetworkGetXMLDesc(found, 0) })
	if err != nil {
		return n, err
	}
	var desc libvirtxml.Network
	if err := desc.Unmarshal(text); err != nil {
		return n, fmt.Errorf("libvirt: read network %q: %w", name, err)
	}
	if desc.VirtualPort == nil || desc.VirtualPort.Params == nil || desc.VirtualPort.Params.OpenVSwitch == nil {
		return n, fmt.Errorf("libvirt: VLAN %d on network %q, which is not of Open vSwitch: %w", vlan, name, inventory.ErrUnsupported)
	}
	n.VLan = &libvirtxml.DomainInterfaceVLan{Tags: []libvirtxml.DomainInterfaceVLanTag{{ID: uint(vlan)}}}
	return n, nil
}

// networkName is what a NIC is attached to, as Network in a spec says it.
func networkName(s *libvirtxml.DomainInterfaceSource) string {
	switch {
	case s == nil:
	case s.Network != nil:
		return s.Network.Network
	case s.Bridge != nil:
		return bridgePrefix + s.Bridge.Bridge
	case s.User != nil:
		return userNetwork
	}
	return ""
}

// startWithNetworks starts a domain after libvirt's networks that it is on: Debian leaves
// "default" off, also at the host's next start.
func (d *Driver) startWithNetworks(ctx context.Context, f found) error {
	if f.desc.Devices != nil {
		for _, n := range f.desc.Devices.Interfaces {
			if n.Source == nil || n.Source.Network == nil {
				continue
			}
			if err := d.startNetwork(ctx, n.Source.Network.Network); err != nil {
				return err
			}
		}
	}
	return d.start(ctx, f.Domain)
}

// startNetwork starts one of libvirt's networks; one that runs stays as it is.
func (d *Driver) startNetwork(ctx context.Context, name string) error {
	err := do(ctx, d.link, fmt.Sprintf("start network %q", name), func(r *lv.Libvirt) error {
		n, err := r.NetworkLookupByName(name)
		if err != nil {
			return err
		}
		if active, err := r.NetworkIsActive(n); err != nil || active != 0 {
			return err
		}
		return r.NetworkCreate(n)
	})
	if said(err, lv.ErrOperationInvalid) { // another one was quicker
		return nil
	}
	return err
}
