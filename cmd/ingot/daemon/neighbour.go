package daemon

import (
	"net/netip"

	"github.com/vishvananda/netlink"

	"ingot/inventory"
)

// neighbour looks an on-link address up in the kernel's table.
func neighbour(ip netip.Addr) (inventory.MAC, bool) {
	list, err := netlink.NeighList(0, netlink.FAMILY_V4)
	if err != nil {
		return "", false
	}
	for _, n := range list {
		if a, ok := netip.AddrFromSlice(n.IP.To4()); ok && a == ip {
			mac, err := inventory.MACFrom(n.HardwareAddr)
			return mac, err == nil
		}
	}
	return "", false
}
