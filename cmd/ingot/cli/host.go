package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/inventory/api"
)

func (a *app) host() *cobra.Command {
	named := a.completed(hostNames, a.hostShow(), a.hostCheck(), a.hostSelfTest(), a.hostRemove())
	return group("host", "Hypervisors that VMs run on", append(named, a.hostAdd(), a.hostList())...)
}

func (a *app) hostList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List hosts", Args: none(), RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		rows, err := c.Hosts(cmd.Context())
		if err != nil {
			return err
		}
		type h = api.HostRow
		return list(a, rows, []column[h]{
			{"NAME", false, func(x h) string { return x.Name }},
			{"KIND", false, func(x h) string { return x.Kind }},
			{"URL", false, func(x h) string { return x.URL }},
			{"VMS", false, func(x h) string { return fmt.Sprint(x.VMs) }},
			{"OPEN", false, func(x h) string { return yesNo(!x.Closed) }},
			{"STORAGE", true, func(x h) string { return x.Storage }},
			{"NETWORK", true, func(x h) string { return x.Network }},
			{"THUMBPRINT", true, func(x h) string { return x.Thumbprint }},
		})
	}}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (a *app) hostShow() *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show a host", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		rows, err := c.Hosts(cmd.Context())
		if err != nil {
			return err
		}
		for _, h := range rows {
			if h.Name == args[0] {
				return a.documentOr(h, func() error {
					fmt.Fprintf(a.out, "name        %s (%s)\nurl         %s\nthumbprint  %s\nstorage     %s\nnetwork     %s\nopen        %s\nmachines    %d\n",
						h.Name, h.Kind, h.URL, dash(h.Thumbprint), dash(h.Storage), dash(h.Network), yesNo(!h.Closed), h.VMs)
					return nil
				})
			}
		}
		return inventory.NotFound("host", args[0])
	}}
}

func (a *app) hostCheck() *cobra.Command {
	return &cobra.Command{Use: "check NAME", Short: "Look a host over: what works, and what to do about what doesn't", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		found, err := c.CheckHost(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		failed := 0
		for _, f := range found {
			if f.Level == "failed" {
				failed++
			}
		}
		err = a.documentOr(found, func() error {
			showFindings(a.out, found)
			return nil
		})
		if err == nil && failed > 0 {
			err = fmt.Errorf("host %s: %d of %s failed", args[0], failed, count(len(found), "check"))
		}
		return err
	}}
}

// showFindings prints one line for each, and below it what to do.
func showFindings(w io.Writer, found []api.Finding) {
	width := 0
	for _, f := range found {
		width = max(width, len(f.What))
	}
	for _, f := range found {
		fmt.Fprintf(w, "%-8s %-*s  %s\n", f.Level, width, f.What, f.Detail)
		if f.Try != "" {
			fmt.Fprintf(w, "%-8s %-*s  → %s\n", "", width, "", f.Try)
		}
	}
}

func (a *app) hostRemove() *cobra.Command {
	return &cobra.Command{Use: "remove NAME...", Short: "Take hosts out of the inventory; nothing at them changes", Args: atLeast(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		var errs []error
		for _, name := range args {
			if err := c.DeleteHost(cmd.Context(), name); err != nil {
				errs = append(errs, err)
				continue
			}
			fmt.Fprintf(a.out, "%s: removed\n", name)
		}
		return errors.Join(errs...)
	}}
}
