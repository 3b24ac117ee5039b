package vsphere

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
	"ingot/inventory"
)

// The OUIs of which VMware keeps parts for itself, and the end of the part that may be set
// by hand (vSphere Networking, "VMware OUI in Static MAC Addresses"). Any other unique
// address may be set.
var (
	ouiManual    = []byte{0x00, 0x50, 0x56}
	ouiGenerated = [][]byte{{0x00, 0x0c, 0x29}, {0x00, 0x05, 0x69}, {0x00, 0x1c, 0x14}}
)

const manualMax = 0x3f

// checkMAC reports one that vSphere keeps for addresses it makes itself.
func checkMAC(mac net.HardwareAddr) error {
	switch {
	case len(mac) != 6:
		return inventory.Invalid("MAC %s (want six bytes)", mac)
	case bytes.HasPrefix(mac, ouiManual) && mac[3] > manualMax:
		return inventory.Invalid("MAC %s: vSphere keeps 00:50:56:40 and above for itself", mac)
	case slices.ContainsFunc(ouiGenerated, func(oui []byte) bool { return bytes.HasPrefix(mac, oui) }):
		return inventory.Invalid("MAC %s: vSphere keeps that range for addresses it generates", mac)
	}
	return nil
}

// networks reads what machines of this cluster or host can be attached to.
func (d *Driver) networks(ctx context.Context) ([]mo.Network, error) {
	var compute mo.ComputeResource
	if err := d.object(ctx, d.place.compute.Self, []string{"network"}, &compute); err != nil {
		return nil, translate("list networks", err)
	}
	var all []mo.Network
	if err := d.objects(ctx, compute.Network, "Network", []string{"name", "tag"}, &all); err != nil {
		return nil, translate("list networks", err)
	}
	return slices.DeleteFunc(all, isUplink), nil
}

// isUplink tells a distributed switch's uplink port group, which no machine belongs on, by
// the tag that vCenter gives it.
func isUplink(n mo.Network) bool {
	return slices.ContainsFunc(n.Tag, func(t types.Tag) bool { return t.Key == "SYSTEM/DVS.UPLINKPG" })
}

// networkOf finds a network by its name, or by its reference ("dvportgroup-12") where
// several switches have one of that name.
func networkOf(all []mo.Network, name string) (types.ManagedObjectReference, error) {
	for _, n := range all {
		if n.Self.Value == name {
			return n.Self, nil
		}
	}
	n, err := choose("network", name, all, func(n mo.Network) string { return n.Name })
	if err == nil {
		return n.Self, nil
	}
	var refs []string
	for _, n := range all {
		if name != "" && unescape(n.Name) == name {
			refs = append(refs, n.Self.Value)
		}
	}
	if len(refs) > 1 {
		return n.Self, inventory.Conflict("%d networks are named %q: give one of %v instead", len(refs), name, refs)
	}
	return n.Self, err
}

// cards are the NICs of a machine to be made.
func (d *Driver) cards(ctx context.Context, nics []hypervisor.NICSpec) ([]types.BaseVirtualDeviceConfigSpec, error) {
	if len(nics) == 0 {
		return nil, nil
	}
	all, err := d.networks(ctx)
	if err != nil {
		return nil, err
	}
	var cards []types.BaseVirtualDeviceConfigSpec
	for i, nic := range nics {
		ref, err := networkOf(all, nic.Network)
		if err != nil {
			return nil, err
		}
		if nic.VLAN != 0 {
			if err := d.checkVLAN(ctx, ref, nic.VLAN); err != nil {
				return nil, err
			}
		}
		backing, err := d.backing(ctx, ref)
		if err != nil {
			return nil, err
		}
		cards = append(cards, card(int32(-200-i), nic.MAC, backing))
	}
	return cards, nil
}

func card(key int32, mac inventory.MAC, backing types.BaseVirtualDeviceBackingInfo) types.BaseVirtualDeviceConfigSpec {
	nic := &types.VirtualVmxnet3{}
	nic.Key, nic.Backing = key, backing
	nic.AddressType, nic.MacAddress = string(types.VirtualEthernetCardMacTypeManual), string(mac)
	nic.Connectable = &types.VirtualDeviceConnectInfo{StartConnected: true, AllowGuestControl: true, Connected: true}
	nic.WakeOnLanEnabled = types.NewBool(true)
	return &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: nic}
}

// backing is how a NIC names a network. Names are not unique, so it comes from the object.
func (d *Driver) backing(ctx context.Context, ref types.ManagedObjectReference) (types.BaseVirtualDeviceBackingInfo, error) {
	network, ok := object.NewReference(d.client, ref).(object.NetworkReference)
	if !ok {
		return nil, fmt.Errorf("network %s is a %s: %w", ref.Value, ref.Type, inventory.ErrUnsupported)
	}
	backing, err := network.EthernetCardBackingInfo(ctx)
	if err != nil {
		return nil, translate("read network "+ref.Value, err)
	}
	if b, ok := backing.(*types.VirtualEthernetCardNetworkBackingInfo); ok {
		b.Network = &ref
	}
	return backing, nil
}

// checkVLAN: a VLAN belongs to the port group, a NIC has none of its own.
func (d *Driver) checkVLAN(ctx context.Context, ref types.ManagedObjectReference, want int) error {
	if ref.Type == "DistributedVirtualPortgroup" {
		var group mo.DistributedVirtualPortgroup
		if err := d.object(ctx, ref, []string{"config.defaultPortConfig"}, &group); err != nil {
			return translate("read network "+ref.Value, err)
		}
		if port, ok := group.Config.DefaultPortConfig.(*types.VMwareDVSPortSetting); ok {
			if v, ok := port.Vlan.(*types.VmwareDistributedVirtualSwitchVlanIdSpec); ok && int(v.VlanId) == want {
				return nil
			}
		}
	}
	return fmt.Errorf("network %s is not a port group of VLAN %d: on vSphere the port group has the VLAN: %w", ref.Value, want, inventory.ErrUnsupported)
}
