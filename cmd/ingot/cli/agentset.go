package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/inventory/api"
)

type set = inventory.BootSet

// bootWorker works on sets of boot files.
type bootWorker interface {
	BootSets(ctx context.Context) ([]set, error)
	BuildBootSet(ctx context.Context, in api.BootSetBuild, progress func(api.WorkLine)) (set, error)
	TestBootSet(ctx context.Context, in api.BootSetTest, progress func(api.WorkLine)) (set, error)
	RollbackBootSet(ctx context.Context, in api.BootSetRollback) (set, error)
}

func (a *app) agentList(f *agentFlags) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the sets of boot files, and which one machines boot", Args: none(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := existingData(f.data); err != nil {
				return err
			}
			w, err := a.bootWorker(f)
			if err != nil {
				return err
			}
			sets, err := w.BootSets(cmd.Context())
			if err != nil {
				return err
			}
			return list(a, sets, setColumns(time.Now(), f.data == ""))
		}}
}

// setColumns has the machines where a server counts them.
func setColumns(now time.Time, counted bool) []column[set] {
	columns := []column[set]{
		{"ID", false, func(s set) string { return s.ID }},
		{"STATE", false, func(s set) string { return string(s.State) }},
		{"KERNEL", false, func(s set) string { return s.Kernel }},
		{"AGE", false, func(s set) string { return age(s.Built, now) }},
		{"SIZE", false, func(s set) string { return inventory.FormatBytes(s.SizeBytes) }},
	}
	if counted {
		columns = append(columns, column[set]{"MACHINES", false, func(s set) string { return strconv.Itoa(s.Machines) }})
	}
	return append(columns,
		column[set]{"AGENT", true, func(s set) string { return s.AgentVersion }},
		column[set]{"DIGEST", true, func(s set) string { return s.Digest }},
		column[set]{"PACKAGES", true, func(s set) string {
			var all []string
			for _, p := range s.Packages {
				all = append(all, p.Name+"="+p.Version)
			}
			return strings.Join(all, ",")
		}},
		column[set]{"TESTED", false, testedText})
}

// testedText is what the boot tests say.
func testedText(s set) string {
	var passed []string
	for _, t := range s.Tests {
		switch {
		case t.Passed:
			passed = append(passed, t.Mode)
		case t.Skipped != "":
			passed = append(passed, t.Mode+" skipped")
		}
	}
	switch {
	case s.Problem() != "":
		return "failed " + s.Problem()
	case passed == nil:
		return "untested"
	}
	return strings.Join(passed, ", ")
}

// bootWork shows the course of long work and the set that came of it. A set that failed
// its test is exit code 1.
func (a *app) bootWork(f func(func(api.WorkLine)) (set, error)) error {
	b := newBar(a.err)
	unchanged := false
	s, err := f(func(l api.WorkLine) {
		unchanged = unchanged || l.Unchanged
		if l.Step != "" {
			b.update("agent", l.Step, inventory.Progress{})
		}
	})
	b.done()
	if err != nil {
		return err
	}
	if err := a.documentOr(s, func() error { a.showSet(s, unchanged); return nil }); err != nil {
		return err
	}
	if s.Problem() != "" {
		return errors.New(failedText(s))
	}
	return nil
}

func (a *app) showSet(s set, unchanged bool) {
	fmt.Fprintf(a.out, "set %s: kernel %s, %s, %s\n", s.ID, s.Kernel, inventory.FormatBytes(s.SizeBytes), s.State)
	if unchanged {
		fmt.Fprintln(a.out, "nothing changed since it was made")
	}
	for _, t := range s.Tests {
		switch {
		case t.Skipped != "":
			fmt.Fprintf(a.out, "  skipped  %-10s %s\n", t.Mode, t.Skipped)
		case t.Passed:
			fmt.Fprintf(a.out, "  passed   %-10s in %.0f s: %s\n", t.Mode, t.Seconds, t.Facts)
		default:
			fmt.Fprintf(a.out, "  failed   %-10s after %.0f s: %s\n", t.Mode, t.Seconds, t.Problem)
			for _, file := range t.Files {
				fmt.Fprintf(a.out, "           %-10s %s\n", "", file)
			}
		}
	}
	if len(s.Tests) == 0 {
		fmt.Fprintf(a.out, "not boot-tested: ingot agent test %s\n", s.ID)
	}
}

// failedText says what a failed test means for the machines.
func failedText(s set) string {
	switch s.State {
	case inventory.BootSetCurrent:
		return "the set failed its boot test, and machines boot it: go back with \"ingot agent rollback\", where there is a set before it"
	case inventory.BootSetFormer, inventory.BootSetWithdrawn:
		return "the set failed its boot test; machines boot another one"
	}
	return "the set failed its boot test and was not promoted: machines go on with the one they have"
}
