package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"ingot/cmd/ingot/daemon"
	"ingot/inventory"
	"ingot/inventory/api"
)

func (a *app) network() *cobra.Command {
	return group("network", "Networks where machines boot", a.networkList(), a.networkAdd(), a.networkRemove())
}

func (a *app) networkList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List networks", Args: none(), RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		ns, err := c.Networks(cmd.Context())
		if err != nil {
			return err
		}
		type n = api.NetworkRow
		return list(a, ns, []column[n]{
			{"NAME", false, func(x n) string { return x.Name }},
			{"SUBNET", false, func(x n) string { return x.Subnet.String() }},
			{"DHCP", false, func(x n) string { return modeText(x) }},
			{"POOLS", false, func(x n) string { return pools(x.Network) }},
			{"GATEWAY", false, func(x n) string { return addrText(x.Network) }},
			{"RESERVATIONS", true, func(x n) string { return fmt.Sprint(len(x.Reservations)) }},
			{"DOMAIN", true, func(x n) string { return x.Domain }},
		})
	}}
}

// modeText is what is configured, and what is done now where that differs.
func modeText(n api.NetworkRow) string {
	if n.DHCPNow == n.DHCP {
		return string(n.DHCP)
	}
	return fmt.Sprintf("%s, now %s", n.DHCP, n.DHCPNow)
}

func addrText(n inventory.Network) string {
	if !n.Gateway.IsValid() {
		return ""
	}
	return n.Gateway.String()
}

func pools(n inventory.Network) string {
	var out []string
	for _, p := range n.Pools {
		out = append(out, p.First.String()+"-"+p.Last.String())
	}
	return strings.Join(out, ",")
}

const networkAddLong = `A network of that name that is there is replaced as a whole: what is not given, its
reservations too, is as if it were new. The network of an interface of the server is there
from the start, under the interface's name.

  ingot network add rack1 --subnet 192.0.2.0/24 --gateway 192.0.2.1 --dhcp authoritative \
    --pool 192.0.2.100-192.0.2.199 --reserve 52:54:00:12:34:56=192.0.2.50`

const networkRemoveLong = `A network whose addresses are in use is not removed (ingot lease list). One that the
configuration has, or an interface of the server (--interface), is there again at the
server's next start.`

func (a *app) networkRemove() *cobra.Command {
	return &cobra.Command{Use: "remove NAME...", Short: "Take networks out of the inventory", Long: networkRemoveLong, Args: atLeast(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		for _, name := range args {
			if err := c.DeleteNetwork(cmd.Context(), name); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s: removed\n", name)
		}
		return nil
	}}
}

func (a *app) networkAdd() *cobra.Command {
	var n daemon.Network
	var reservations []string
	cmd := &cobra.Command{Use: "add NAME", Short: "Add or replace a network", Long: networkAddLong, Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		n.Name = args[0]
		for _, r := range reservations {
			mac, ip, ok := strings.Cut(r, "=")
			if !ok {
				return usage("--reserve %q (want MAC=ADDRESS)", r)
			}
			n.Reservations = append(n.Reservations, daemon.Reservation{MAC: mac, IP: ip})
		}
		net, err := n.Inventory()
		if err != nil {
			return usageError{err}
		}
		c, err := a.client()
		if err != nil {
			return err
		}
		if err := c.PutNetwork(cmd.Context(), net); err != nil {
			return err
		}
		return a.documentOr(net, func() error { fmt.Fprintf(a.out, "%s: %s, DHCP %s\n", net.Name, net.Subnet, net.DHCP); return nil })
	}}
	f := cmd.Flags()
	f.StringVar(&n.Subnet, "subnet", "", "ADDRESS/BITS")
	f.StringVar(&n.Gateway, "gateway", "", "default gateway")
	f.StringSliceVar(&n.DNS, "dns", nil, "DNS servers")
	f.StringSliceVar(&n.NTP, "ntp", nil, "time servers")
	f.StringVar(&n.Domain, "domain", "", "DNS domain")
	f.StringVar(&n.DHCP, "dhcp", "proxy", "proxy, authoritative or off")
	f.StringSliceVar(&n.Pools, "pool", nil, "dynamic range FIRST-LAST (repeatable)")
	f.StringArrayVar(&reservations, "reserve", nil, "MAC=ADDRESS (repeatable)")
	f.DurationVar(&n.LeaseTime, "lease-time", 0, "lease time (default 1h)")
	f.BoolVar(&n.AnyClient, "any-client", false, "give leases to clients that are not machines too")
	f.BoolVar(&n.SoleAuthority, "sole-authority", false, "answer NAK to clients without a record")
	_ = cmd.MarkFlagRequired("subnet") // only fails for an unknown flag
	return cmd
}
