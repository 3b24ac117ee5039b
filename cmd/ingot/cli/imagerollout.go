package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/inventory/api"
)

const setsLong = `A set is terms joined by commas, all of which must hold: KEY=VALUE, KEY!=VALUE, or a
name alone. Keys: firmware, host, image, kind, name, rack, state. A value may have the
wildcards * ? [a-z] and alternatives joined by "|":

    --set kind=vm,name=web-*|db-*`

func (a *app) imageRollout() *cobra.Command {
	o := api.RolloutOrder{Batch: 1}
	var wait bool
	cmd := &cobra.Command{Use: "rollout REF", Short: "Bring a version of an image to the machines that have another one, in batches",
		Long: "Machines are deployed anew, with all that was asked of them before: what is on their disks is lost.\n\n" + setsLong,
		Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
			o.Image = args[0]
			c, err := a.client()
			if err != nil {
				return err
			}
			r, err := c.Rollout(cmd.Context(), o)
			if err != nil {
				return err
			}
			if !wait || o.Plan {
				return a.showRollout(r, o.Plan)
			}
			return a.followRollout(cmd.Context(), c, r)
		}}
	f := cmd.Flags()
	f.StringVar(&o.Set, "set", "", "which machines (default: all that have the image)")
	f.IntVar(&o.Batch, "batch", 1, "how many machines at a time")
	f.IntVar(&o.MaxFailures, "max-failures", 0, "how many machines may fail before it stops")
	f.DurationVar(&o.Pause, "pause", 0, "how long to wait after a batch (like 10m)")
	f.BoolVar(&o.Plan, "dry-run", false, "say which machines, and do nothing")
	f.BoolVar(&wait, "wait", false, "follow it to its end; a failure is exit code 1")
	return cmd
}

func (a *app) imageRollouts() *cobra.Command {
	cmd := &cobra.Command{Use: "rollouts [ID]", Short: "List rollouts, or show one", Args: atMost(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		if len(args) == 1 {
			r, err := c.RolloutOf(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.showRollout(r, false)
		}
		rs, err := c.Rollouts(cmd.Context())
		if err != nil {
			return err
		}
		return list(a, rs, rolloutColumns(time.Now()))
	}}
	cmd.AddCommand(&cobra.Command{Use: "stop ID", Short: "End a rollout: machines that wait stay as they are", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		r, err := c.StopRollout(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return a.showRollout(r, false)
	}})
	return cmd
}

func rolloutColumns(now time.Time) []column[inventory.Rollout] {
	type r = inventory.Rollout
	return []column[r]{
		{"ID", false, func(x r) string { return x.ID }},
		{"IMAGE", false, func(x r) string { return x.Image }},
		{"STATE", false, func(x r) string { return string(x.State) }},
		{"MACHINES", false, func(x r) string {
			return fmt.Sprintf("%d of %d", x.Count(inventory.RolloutOK), len(x.Machines)-x.Count(inventory.RolloutSkipped))
		}},
		{"FAILED", false, func(x r) string { return fmt.Sprint(x.Count(inventory.RolloutFailed)) }},
		{"AGE", false, func(x r) string { return age(x.Created, now) }},
		{"WHY", false, func(x r) string { return x.Why }},
		{"DIGEST", true, func(x r) string { return x.Digest }},
	}
}

func (a *app) showRollout(r inventory.Rollout, plan bool) error {
	return a.documentOr(r, func() error {
		if !plan {
			line := keyLine(a.out)
			line("rollout", "%s of %s (%s)", r.ID, r.Image, shortDigest(r.Digest, false))
			line("state", "%s", r.State)
			if r.Why != "" {
				line("why", "%s", r.Why)
			}
			line("goes", "%d at a time, pause %s, at most %d failures", r.Batch, r.Pause, r.MaxFailures)
		}
		type m = inventory.RolloutMachine
		return table(a.out, r.Machines, []column[m]{
			{"MACHINE", false, func(x m) string { return x.Name }},
			{"STEP", false, func(x m) string { return string(x.Step) }},
			{"WHY", false, func(x m) string { return x.Problem }},
		}, false)
	})
}

// rolloutPoll is how often a rollout that is followed is asked after.
const rolloutPoll = time.Second

// followRollout says what changes until the rollout is over.
func (a *app) followRollout(ctx context.Context, c *api.Client, r inventory.Rollout) error {
	said := map[string]inventory.RolloutStep{}
	tick := time.NewTicker(rolloutPoll)
	defer tick.Stop()
	for {
		for _, m := range r.Machines {
			if said[m.ID] != m.Step && m.Step != inventory.RolloutWaiting {
				fmt.Fprintf(a.err, "%s: %s %s\n", m.Name, m.Step, m.Problem)
			}
			said[m.ID] = m.Step
		}
		if r.State != inventory.RolloutRunning {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		var err error
		if r, err = c.RolloutOf(ctx, r.ID); err != nil {
			return err
		}
	}
	if err := a.showRollout(r, false); err != nil {
		return err
	}
	if r.State == inventory.RolloutStopped || r.Count(inventory.RolloutFailed) > 0 {
		return fmt.Errorf("rollout %s is %s: %d machines failed", r.ID, r.State, r.Count(inventory.RolloutFailed))
	}
	return nil
}
