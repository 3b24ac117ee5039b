package dhcp

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"ingot/inventory"
)

// ReadGround looks at an interface. An address counts as static when it has no end of
// life: DHCP clients give theirs one. No such interface is inventory.ErrNotFound.
func ReadGround(ifname string) (Ground, error) {
	link, err := netlink.LinkByName(ifname)
	if err != nil {
		return Ground{}, fmt.Errorf("look at interface %s: %v: %w", ifname, err, inventory.ErrNotFound)
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return Ground{}, fmt.Errorf("read addresses of %s: %w", ifname, err)
	}
	var g Ground
	for _, a := range addrs {
		g.Static = g.Static || a.Flags&unix.IFA_F_PERMANENT != 0
	}
	routes, err := netlink.RouteList(link, netlink.FAMILY_V4)
	if err != nil {
		return Ground{}, fmt.Errorf("read routes of %s: %w", ifname, err)
	}
	for _, r := range routes {
		if r.Dst == nil {
			g.DefaultRoute = true
			continue
		}
		ones, _ := r.Dst.Mask.Size()
		g.DefaultRoute = g.DefaultRoute || ones == 0
	}
	return g, nil
}
