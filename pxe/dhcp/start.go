package dhcp

import (
	"context"
	"fmt"

	"ingot/inventory"
)

// Ground is what an interface shows of the network it is on, as far as this host can
// tell without asking the network.
type Ground struct {
	// Static: it has an IPv4 address that no DHCP client put there.
	Static bool
	// DefaultRoute: a default route leaves by it, so it is somebody's network already.
	DefaultRoute bool
	// Shared is Link.Shared.
	Shared string
}

// ChooseMode says what Ingot may do on an interface by itself, and why: authoritative
// only on ground that nobody else seems to own and where no server answers a probe,
// proxy otherwise. probe is asked last, and takes its time (see ProbeServers). An error
// of probe is returned with proxy.
func ChooseMode(ctx context.Context, g Ground, probe func(context.Context) ([]OtherServer, error)) (inventory.DHCPMode, string, error) {
	switch {
	case !g.Static:
		return inventory.DHCPProxy, "the interface has no static address", nil
	case g.DefaultRoute:
		return inventory.DHCPProxy, "the default route leaves by this interface", nil
	case g.Shared != "":
		return inventory.DHCPProxy, g.Shared, nil
	}
	found, err := probe(ctx)
	if err != nil {
		return inventory.DHCPProxy, "other DHCP servers could not be looked for", err
	}
	if len(found) > 0 {
		return inventory.DHCPProxy, fmt.Sprintf("DHCP server %s answers there", found[0].IP), nil
	}
	return inventory.DHCPAuthoritative, "static address, no default route, and no DHCP server answered", nil
}
