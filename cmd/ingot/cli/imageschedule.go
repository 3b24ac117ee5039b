package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory/api"
)

func (a *app) imageSchedule() *cobra.Command {
	listing := a.imageCall("list", "List the builds that are done again and again", 0, func(ctx context.Context, c *api.Client, _ []string) error {
		rows, err := c.Schedules(ctx)
		if err != nil {
			return err
		}
		return list(a, rows, scheduleColumns(time.Now()))
	})
	run := a.imageCall("run NAME", "Run a build as soon as it can", 1, func(ctx context.Context, c *api.Client, args []string) error {
		if err := c.RunSchedule(ctx, args[0]); err != nil {
			return err
		}
		return a.documentOr(map[string]string{"name": args[0]}, func() error {
			fmt.Fprintf(a.out, "%s runs; follow it with: ingot image schedule list, ingot events -f\n", args[0])
			return nil
		})
	})
	log := a.imageCall("log NAME", "Show the log of a build's last run", 1, func(ctx context.Context, c *api.Client, args []string) error {
		return c.ScheduleLog(ctx, args[0], a.out)
	})
	return group("schedule", "Nightly builds (the configuration's nightly)", listing, run, log)
}

func scheduleColumns(now time.Time) []column[api.ScheduleRow] {
	type r = api.ScheduleRow
	return []column[r]{
		{"NAME", false, func(x r) string { return x.Name }},
		{"RECIPE", false, func(x r) string { return x.Recipe }},
		{"TIMES", false, func(x r) string { return x.Times }},
		{"CHANNEL", false, func(x r) string { return x.Channel }},
		{"DUE", false, func(x r) string { return x.Due.Local().Format(time.DateTime) }},
		{"NOW", false, func(x r) string {
			if x.Running.IsZero() {
				return ""
			}
			return fmt.Sprintf("%s for %s%s", dash(x.Step), age(x.Running, now), anew(x.Anew))
		}},
		{"LAST", false, func(x r) string { return lastRun(x, now) }},
	}
}

func lastRun(x api.ScheduleRow, now time.Time) string {
	if x.Last == nil {
		return ""
	}
	what := shortDigest(x.Last.Digest, false)
	switch {
	case x.Last.Problem != "":
		return fmt.Sprintf("failed at %s %s ago: %s%s", x.Last.Step, age(x.Last.Ended, now), x.Last.Problem, anew(x.Last.Anew))
	case x.Last.Unchanged:
		what = "unchanged"
	}
	return fmt.Sprintf("%s %s ago%s", what, age(x.Last.Ended, now), anew(x.Last.Anew))
}

// anew tells of the run before one that was begun anew.
func anew(why string) string {
	if why == "" {
		return ""
	}
	return fmt.Sprintf(" (begun anew: the run before was %s)", why)
}
