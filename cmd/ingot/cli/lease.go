package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory"
)

func (a *app) lease() *cobra.Command {
	var watch bool
	show := &cobra.Command{Use: "list", Short: "List leases, reservations and static addresses", Args: none(), RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		return a.watched(cmd.Context(), c, watch, func(ctx context.Context) error {
			rows, err := c.Addresses(ctx)
			if err != nil {
				return err
			}
			type r = inventory.Address
			now := time.Now()
			return list(a, rows, []column[r]{
				{"ADDRESS", false, func(x r) string { return x.IP.String() }},
				{"NETWORK", false, func(x r) string { return x.Network }},
				{"USE", false, func(x r) string { return string(x.Use) }},
				{"MAC", false, func(x r) string { return string(x.MAC) }},
				{"HOSTNAME", false, func(x r) string { return x.Hostname }},
				{"EXPIRES", false, func(x r) string { return expires(x.Expires, now) }},
				{"CLIENT-ID", true, func(x r) string { return x.ClientID }},
				{"REASON", true, func(x r) string { return x.Reason }},
			})
		})
	}}
	show.Flags().BoolVarP(&watch, "watch", "w", false, "show again whenever something changes")
	return group("lease", "DHCP leases", show)
}

func expires(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case t.Before(now):
		return "expired"
	}
	return "in " + t.Sub(now).Round(time.Second).String()
}
