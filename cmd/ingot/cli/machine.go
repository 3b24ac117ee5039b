package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/inventory/api"
)

func (a *app) machine() *cobra.Command {
	named := a.completed(machineNames, a.machineShow(), a.machineLog(), a.machineWait(),
		a.act("approve", "Let Ingot act on machines that were discovered", api.ActionApprove),
		a.deploy(),
		a.act("release", "Wipe machines and put them back among the ready ones", api.ActionRelease),
		a.act("retire", "Keep machines in the inventory and never touch them", api.ActionRetire),
		a.act("revive", "Take machines back from retirement", api.ActionRevive),
		a.act("inspect", "Read the facts of machines again", api.ActionInspect),
		a.act("rescue", "Boot machines into the agent and leave their disks alone", api.ActionRescue),
		a.act("return", "Return machines from rescue to where they were", api.ActionReturn),
		a.act("lock", "Refuse deploy, release and delete of machines", api.ActionLock),
		a.act("unlock", "Allow deploy, release and delete of machines again", api.ActionUnlock),
		a.act("resume", "Lift a hold or an identity conflict after you looked at it", api.ActionResume),
		a.machineDelete())
	return group("machine", "Machines: list, look, approve, release", append(named, a.machineList())...)
}

func (a *app) machineList() *cobra.Command {
	var watch, old bool
	cmd := &cobra.Command{Use: "list", Short: "List machines", Args: none(), RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		show := func(ctx context.Context) error {
			ms, err := c.Machines(ctx)
			if err != nil {
				return err
			}
			columns := machineColumns(time.Now())
			if old {
				now, err := newest(ctx, c)
				if err != nil {
					return err
				}
				ms = outdated(ms, now)
				columns = append(columns, column[inventory.Machine]{"NEWEST", false, func(m inventory.Machine) string {
					image, _ := newer(m, now)
					return strings.TrimSpace(image.Version + " " + shortDigest(image.Digest, false))
				}})
			}
			return list(a, ms, columns)
		}
		return a.watched(cmd.Context(), c, watch, show)
	}}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show again whenever something changes")
	cmd.Flags().BoolVar(&old, "outdated", false, "only machines whose image has a newer version than they run")
	return cmd
}

func machineColumns(now time.Time) []column[inventory.Machine] {
	type m = inventory.Machine
	return []column[m]{
		{"NAME", false, func(x m) string { return x.Name }},
		{"KIND", false, func(x m) string { return string(x.Kind) }},
		{"STATE", false, func(x m) string { return stateText(x) }},
		{"IMAGE", false, func(x m) string { return shortRef(x.Spec.Image) }},
		{"ADDRESS", false, func(x m) string { return validAddr(x) }},
		{"AGE", false, func(x m) string { return age(x.Status.PhaseSince, now) }},
		{"PROBLEM", false, func(x m) string { return problem(x) }},
		{"MAC", true, func(x m) string { return macs(x) }},
		{"UUID", true, func(x m) string { return x.Identity.UUID }},
		{"SERIAL", true, func(x m) string { return x.Identity.Serial }},
		{"FIRMWARE", true, func(x m) string { return firmware(x) }},
		{"ID", true, func(x m) string { return x.ID }},
	}
}

func validAddr(m inventory.Machine) string {
	if !m.Status.Address.IsValid() {
		return ""
	}
	return m.Status.Address.String()
}

func stateText(m inventory.Machine) string {
	s := string(m.Status.State)
	if m.Status.Phase != "" {
		s += "/" + string(m.Status.Phase)
	}
	if p := m.Status.Progress; p != nil {
		s += fmt.Sprintf(" %d%%", p.Percent())
	}
	return s
}

func problem(m inventory.Machine) string {
	switch {
	case m.Status.Conflict != "":
		return "conflict: " + m.Status.Conflict
	case m.Status.Hold != "":
		return "hold: " + m.Status.Hold
	case m.Status.Error != nil:
		return m.Status.Error.Step + ": " + m.Status.Error.Reason
	case m.Status.State == inventory.Discovered:
		return "not approved"
	}
	return ""
}

func macs(m inventory.Machine) string {
	var out []string
	for _, mac := range m.Identity.MACs {
		out = append(out, string(mac))
	}
	return strings.Join(out, ",")
}

func firmware(m inventory.Machine) string {
	s := string(m.Status.Firmware)
	if m.Status.SecureBoot == inventory.SecureBootOn {
		s += "+secureboot"
	}
	return s
}

func (a *app) machineLog() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{Use: "log MACHINE", Short: "Print what a machine's agent and kernel said", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		return c.Log(cmd.Context(), args[0], follow, a.out)
	}}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as more comes")
	return cmd
}

// act is a verb that does one thing to each machine named.
func (a *app) act(use, short string, action api.Action) *cobra.Command {
	return &cobra.Command{Use: use + " MACHINE...", Short: short, Args: atLeast(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		var done []inventory.Machine
		var errs []error
		for _, name := range args {
			m, err := c.Act(cmd.Context(), name, action)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			done = append(done, m)
		}
		err = a.documentOr(done, func() error {
			for _, m := range done {
				fmt.Fprintf(a.out, "%s: %s\n", m.Name, stateText(m))
			}
			return nil
		})
		return errors.Join(append(errs, err)...)
	}}
}

func (a *app) machineDelete() *cobra.Command {
	return &cobra.Command{Use: "delete MACHINE...", Short: "Take machines out of the inventory; their disks stay as they are", Args: atLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			var errs []error
			for _, name := range args {
				if err := c.Delete(cmd.Context(), name); err != nil {
					errs = append(errs, err)
					continue
				}
				fmt.Fprintf(a.out, "%s: deleted\n", name)
			}
			return errors.Join(errs...)
		}}
}
