package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/inventory/api"
)

func (a *app) vmResize() *cobra.Command {
	var cpus int
	var memory string
	var disks []string
	cmd := &cobra.Command{Use: "resize NAME", Short: "Change CPUs and memory of a VM that is off, and grow its disks", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		to := api.VMResize{CPUs: cpus, DiskBytes: map[int]int64{}}
		if memory != "" {
			n, err := readMemory(memory)
			if err != nil {
				return usage("--memory: %v", err)
			}
			to.MemoryBytes = n
		}
		for _, d := range disks {
			n, size, err := readGrowth(d)
			if err != nil {
				return err
			}
			to.DiskBytes[n] = size
		}
		if cpus == 0 && memory == "" && len(disks) == 0 {
			return usage("nothing to change: give --cpus, --memory or --disk")
		}
		return a.eachVM(cmd, args, "changed", func(ctx context.Context, c *api.Client, name string) error { return c.ResizeVM(ctx, name, to) })
	}}
	f := cmd.Flags()
	f.IntVar(&cpus, "cpus", 0, "CPUs")
	f.StringVar(&memory, "memory", "", "memory, like 512M or 4G")
	f.StringArrayVar(&disks, "disk", nil, "new size of the root disk, or NUMBER=SIZE (repeatable)")
	return cmd
}

// readGrowth reads SIZE or NUMBER=SIZE.
func readGrowth(text string) (n int, sizeBytes int64, err error) {
	if number, size, ok := strings.Cut(text, "="); ok {
		if n, err = strconv.Atoi(number); err != nil {
			return 0, 0, usage("--disk %q (want SIZE or NUMBER=SIZE)", text)
		}
		text = size
	}
	size, err := inventory.ParseBytes(text)
	if err != nil {
		return 0, 0, usage("--disk: %v", err)
	}
	return n, (size + mebibyte - 1) / mebibyte * mebibyte, nil
}

func (a *app) vmSnapshot() *cobra.Command {
	verb := func(use, short, done string, f func(context.Context, *api.Client, string, string) error) *cobra.Command {
		return &cobra.Command{Use: use + " VM SNAPSHOT", Short: short, Args: exactly(2), RunE: func(cmd *cobra.Command, args []string) error {
			return a.eachVM(cmd, args[:1], done+" "+args[1], func(ctx context.Context, c *api.Client, name string) error { return f(ctx, c, name, args[1]) })
		}}
	}
	return group("snapshot", "Kept states of VMs", a.completed(snapshotNames,
		verb("create", "Keep a VM's disks and firmware variables; one that runs is shut down and started where its host can't do it live", "kept as", keepNew),
		a.vmSnapshotList(),
		verb("revert", "Go back to a kept state; the VM is off then", "back at",
			func(ctx context.Context, c *api.Client, vm, name string) error { return c.RevertVM(ctx, vm, name) }),
		verb("delete", "Forget a kept state", "forgot", forgetKnown))...)
}

// keepNew refuses a name that is taken, and forgetKnown one that is not: to the server each
// is a call repeated, whose work is done; to a person it is a slip.
func keepNew(ctx context.Context, c *api.Client, vm, name string) error {
	s, there, err := findSnapshot(ctx, c, vm, name)
	if err != nil {
		return err
	}
	if there {
		return inventory.Conflict("VM %s has a snapshot %q already, of %s: delete it first, or take another name", vm, name, s.Created.Local().Format(time.DateTime))
	}
	return c.SnapshotVM(ctx, vm, name)
}

func forgetKnown(ctx context.Context, c *api.Client, vm, name string) error {
	_, there, err := findSnapshot(ctx, c, vm, name)
	if err != nil {
		return err
	}
	if !there {
		return inventory.NotFound("snapshot", name)
	}
	return c.DeleteVMSnapshot(ctx, vm, name)
}

func findSnapshot(ctx context.Context, c *api.Client, vm, name string) (s api.VMSnapshot, there bool, err error) {
	all, err := c.SnapshotsOfVM(ctx, vm)
	if i := slices.IndexFunc(all, func(s api.VMSnapshot) bool { return s.Name == name }); i >= 0 {
		return all[i], true, err
	}
	return s, false, err
}

func (a *app) vmSnapshotList() *cobra.Command {
	return &cobra.Command{Use: "list VM", Short: "List a VM's snapshots", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		all, err := c.SnapshotsOfVM(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		type s = api.VMSnapshot
		now := time.Now()
		return list(a, all, []column[s]{
			{"NAME", false, func(x s) string { return x.Name }},
			{"AGE", false, func(x s) string { return age(x.Created, now) }},
			{"CURRENT", false, func(x s) string { return yesNo(x.Current) }},
		})
	}}
}

// vmDrift ends with 1 when something differs, for scripts.
func (a *app) vmDrift() *cobra.Command {
	return &cobra.Command{Use: "drift [NAME...]", Short: "List what differs between VMs and what is wanted of them", RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		names, err := a.vmsOrAll(cmd.Context(), c, args)
		if err != nil {
			return err
		}
		all := []api.VMDifference{}
		var errs []error
		for _, name := range names {
			found, err := c.DriftOfVM(cmd.Context(), name)
			all, errs = append(all, found...), append(errs, err)
		}
		type d = api.VMDifference
		errs = append(errs, list(a, all, []column[d]{
			{"VM", false, func(x d) string { return x.Machine }},
			{"FIELD", false, func(x d) string { return x.Field }},
			{"WANTED", false, func(x d) string { return x.Want }},
			{"FOUND", false, func(x d) string { return x.Have }},
		}))
		if len(all) > 0 {
			differ := map[string]bool{}
			for _, x := range all {
				differ[x.Machine] = true
			}
			errs = append(errs, fmt.Errorf("%s in %s", count(len(all), "difference"), count(len(differ), "VM")))
		}
		return errors.Join(errs...)
	}}
}

// vmsOrAll are the names given, or all VMs that were made.
func (a *app) vmsOrAll(ctx context.Context, c *api.Client, names []string) ([]string, error) {
	if len(names) > 0 {
		return names, nil
	}
	ms, err := c.Machines(ctx)
	for _, m := range ms {
		if m.Status.VM != nil {
			names = append(names, m.Name)
		}
	}
	return names, err
}

func (a *app) vmAdopt() *cobra.Command {
	var host, name string
	cmd := &cobra.Command{Use: "adopt [VM]", Short: "Take a VM that nobody manages into the inventory, or list such VMs", Args: atMost(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		if len(args) == 0 {
			return a.listForeign(cmd.Context(), c, host)
		}
		in := api.VMAdopt{Host: host, Which: args[0], Name: first(name, args[0])}
		if err := inventory.CheckName(in.Name); err != nil {
			return fmt.Errorf("%w: give it one with --name", err)
		}
		m, err := c.AdoptVM(cmd.Context(), in)
		if err != nil {
			return err
		}
		return a.documentOr(m, func() error { fmt.Fprintf(a.out, "%s: adopted from %s\n", m.Name, host); return nil })
	}}
	cmd.Flags().StringVar(&host, "on", "", "host")
	cmd.Flags().StringVar(&name, "name", "", "name in the inventory (default: its own)")
	_ = cmd.MarkFlagRequired("on") // only fails for an unknown flag
	a.completedFlag(cmd, "on", hostNames)
	return cmd
}

func (a *app) listForeign(ctx context.Context, c *api.Client, host string) error {
	all, err := c.ForeignVMs(ctx, host)
	if err != nil {
		return err
	}
	type v = api.ForeignVM
	return list(a, all, []column[v]{
		{"NAME", false, func(x v) string { return x.Name }},
		{"UUID", false, func(x v) string { return x.UUID }},
		{"POWER", false, func(x v) string { return x.Power }},
		{"CPUS", false, func(x v) string { return fmt.Sprint(x.CPUs) }},
		{"MEMORY", false, func(x v) string { return memoryText(x.MemoryBytes) }},
	})
}
