package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/inventory/api"
)

func (a *app) vm() *cobra.Command {
	named := a.completed(vmNames, a.vmShow(), a.vmStart(), a.vmStop(), a.vmRestart(), a.vmResize(), a.vmConsole(), a.vmSSH(), a.vmDelete(), a.vmDrift())
	return group("vm", "Virtual machines", append(named, a.vmCreate(), a.vmList(), a.vmSnapshot(), a.vmAdopt())...)
}

func (a *app) vmList() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{Use: "list", Short: "List VMs", Args: none(), RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		return a.watched(cmd.Context(), c, watch, func(ctx context.Context) error {
			ms, err := c.Machines(ctx)
			if err != nil {
				return err
			}
			return list(a, slices.DeleteFunc(ms, func(m inventory.Machine) bool { return m.Spec.VM == nil }), vmColumns(time.Now()))
		})
	}}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show again whenever something changes")
	return cmd
}

func vmColumns(now time.Time) []column[inventory.Machine] {
	type m = inventory.Machine
	return []column[m]{
		{"NAME", false, func(x m) string { return x.Name }},
		{"STATE", false, func(x m) string { return stateText(x) }},
		{"HOST", false, func(x m) string { return x.Spec.VM.Host }},
		{"CPUS", false, func(x m) string { return fmt.Sprint(x.Spec.VM.CPUs) }},
		{"MEMORY", false, func(x m) string { return memoryText(x.Spec.VM.MemoryBytes) }},
		{"ADDRESS", false, func(x m) string { return validAddr(x) }},
		{"IMAGE", false, func(x m) string { return shortRef(x.Spec.Image) }},
		{"AGE", false, func(x m) string { return age(x.Created, now) }},
		{"PROBLEM", false, func(x m) string { return problem(x) }},
		{"CLONE", true, func(x m) string { return clone(x) }},
		{"MAC", true, func(x m) string { return macs(x) }},
		{"ID", true, func(x m) string { return x.ID }},
	}
}

func clone(m inventory.Machine) string {
	if m.Status.VM == nil {
		return ""
	}
	return m.Status.VM.Clone
}

// outcome is what was done to a VM.
type outcome struct {
	Name string `json:"name"`
	Done string `json:"done"`
}

// eachVM does one thing to each VM named and says so.
func (a *app) eachVM(cmd *cobra.Command, names []string, what string, f func(context.Context, *api.Client, string) error) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	all := []outcome{}
	var errs []error
	for _, name := range names {
		if err := f(cmd.Context(), c, name); err != nil {
			errs = append(errs, about(name, err))
			continue
		}
		all = append(all, outcome{name, what})
		if a.output == "table" || a.output == "wide" {
			fmt.Fprintf(a.out, "%s: %s\n", name, what)
		}
	}
	return errors.Join(append(errs, a.documentOr(all, func() error { return nil }))...)
}

// about names the VM that an error is of, where that does not do so itself.
func about(name string, err error) error {
	if regexp.MustCompile(`(^|machine |VM |")` + regexp.QuoteMeta(name) + `($|[^A-Za-z0-9-])`).MatchString(err.Error()) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// vmSSH becomes the system's ssh.
func (a *app) vmSSH() *cobra.Command {
	var user string
	cmd := &cobra.Command{Use: "ssh NAME [COMMAND...]", Short: "Log in to a VM with the system's ssh", Args: atLeast(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		m, err := c.Machine(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if !m.Status.Address.IsValid() {
			return fmt.Errorf("%s has no address yet: it is %s (ingot why %s tells more)", m.Name, stateText(m.Machine), m.Name)
		}
		ssh := exec.CommandContext(cmd.Context(), "ssh", append([]string{user + "@" + validAddr(m.Machine)}, args[1:]...)...)
		ssh.Stdin, ssh.Stdout, ssh.Stderr = os.Stdin, a.out, a.err
		return ssh.Run()
	}}
	cmd.Flags().StringVar(&user, "user", "debian", "user to log in as")
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func (a *app) vmDelete() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{Use: "delete NAME...", Short: "Delete VMs with their disks, at their hosts and in the inventory", Args: atLeast(1), RunE: func(cmd *cobra.Command, args []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		cmd.SetContext(ctx)
		return a.eachVM(cmd, args, "deleted", a.removeVM)
	}}
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "give up waiting after this time; the deletion goes on")
	return cmd
}

// removeVM orders a VM away and waits until it is gone, and says what is in the way.
func (a *app) removeVM(ctx context.Context, c *api.Client, name string) error {
	m, err := c.RemoveVM(ctx, name)
	if err != nil {
		return err
	}
	said := ""
	for {
		d, err := c.Machine(ctx, m.ID)
		switch {
		case errors.Is(err, inventory.ErrNotFound):
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%s: gave up waiting while %s; the deletion goes on (ingot vm list)", name, stateText(m))
		case err != nil:
			return err
		case d.Status.Error != nil && d.Status.Error.Permanent:
			return fmt.Errorf("%s: %s failed: %s", name, d.Status.Error.Step, d.Status.Error.Reason)
		case d.Status.Error != nil && d.Status.Error.Reason != said:
			said = d.Status.Error.Reason
			fmt.Fprintf(a.err, "%s: %s failed: %s; it is tried again\n", name, d.Status.Error.Step, said)
		}
		m = d.Machine
		_ = pause(ctx, pollEvery) // seen at the next call
	}
}
