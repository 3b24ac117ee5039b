package sim

import (
	"net"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

func reservedMAC(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	spec, _ := s.configOf(this, body)
	if spec == nil {
		return nil
	}
	for i, c := range spec.DeviceChange {
		card, ok := c.GetVirtualDeviceConfigSpec().Device.(types.BaseVirtualEthernetCard)
		if !ok || card.GetVirtualEthernetCard().AddressType != string(types.VirtualEthernetCardMacTypeManual) {
			continue
		}
		mac, err := net.ParseMAC(card.GetVirtualEthernetCard().MacAddress)
		if err != nil || reserved(mac) {
			return &types.InvalidDeviceSpec{InvalidVmConfig: types.InvalidVmConfig{Property: "deviceChange.device.macAddress"}, DeviceIndex: int32(i)}
		}
	}
	return nil
}

// reserved: groups, what hosts generate (00:0c:29, 00:05:69), and of 00:50:56 what is above
// the part for addresses by hand.
func reserved(mac net.HardwareAddr) bool {
	switch oui := mac[:3].String(); oui {
	case "00:0c:29", "00:05:69":
		return true
	case "00:50:56":
		return mac[3] > 0x3f
	}
	return mac[0]&1 != 0
}

func manyNICs(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	spec, vm := s.configOf(this, body)
	if spec == nil {
		return nil
	}
	n := 0
	if vm != nil {
		for _, d := range vm.Config.Hardware.Device {
			if _, ok := d.(types.BaseVirtualEthernetCard); ok {
				n++
			}
		}
	}
	for _, c := range spec.DeviceChange {
		if _, ok := c.GetVirtualDeviceConfigSpec().Device.(types.BaseVirtualEthernetCard); ok && c.GetVirtualDeviceConfigSpec().Operation == types.VirtualDeviceConfigSpecOperationAdd {
			n++
		}
	}
	if n > nicsMax {
		return new(types.TooManyDevices)
	}
	return nil
}
