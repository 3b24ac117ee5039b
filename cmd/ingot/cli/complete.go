package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/inventory/api"
)

// names asks the server for what can stand at a place of the command line, after args.
type names func(ctx context.Context, c *api.Client, args []string) ([]string, error)

// completed makes the shell offer names for the arguments of commands.
func (a *app) completed(n names, cmds ...*cobra.Command) []*cobra.Command {
	for _, cmd := range cmds {
		cmd.ValidArgsFunction = a.offer(n)
	}
	return cmds
}

// completedFlag does so for a flag.
func (a *app) completedFlag(cmd *cobra.Command, flag string, n names) {
	_ = cmd.RegisterFlagCompletionFunc(flag, a.offer(n)) // only fails for an unknown flag
}

// offer leaves out what was typed already, and file names.
func (a *app) offer(n names) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		c, err := a.client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		all, err := n(cmd.Context(), c, args)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return slices.DeleteFunc(all, func(s string) bool { return slices.Contains(args, s) }), cobra.ShellCompDirectiveNoFileComp
	}
}

func machineNames(ctx context.Context, c *api.Client, _ []string) (all []string, err error) {
	ms, err := c.Machines(ctx)
	for _, m := range ms {
		all = append(all, m.Name)
	}
	return all, err
}

func vmNames(ctx context.Context, c *api.Client, _ []string) (all []string, err error) {
	ms, err := c.Machines(ctx)
	for _, m := range ms {
		if m.Spec.VM != nil {
			all = append(all, m.Name)
		}
	}
	return all, err
}

// snapshotNames are a VM's name and then those of its snapshots.
func snapshotNames(ctx context.Context, c *api.Client, args []string) (all []string, err error) {
	if len(args) == 0 {
		return vmNames(ctx, c, args)
	}
	found, err := c.SnapshotsOfVM(ctx, args[0])
	for _, s := range found {
		all = append(all, s.Name)
	}
	return all, err
}

func hostNames(ctx context.Context, c *api.Client, _ []string) (all []string, err error) {
	hosts, err := c.Hosts(ctx)
	for _, h := range hosts {
		all = append(all, h.Name)
	}
	return all, err
}

// placeNames are where a VM can be asked onto.
func placeNames(ctx context.Context, c *api.Client, args []string) ([]string, error) {
	all, err := hostNames(ctx, c, args)
	return append(all, inventory.AnyHost), err
}

func imageNames(ctx context.Context, c *api.Client, _ []string) (all []string, err error) {
	images, err := c.Images(ctx)
	for _, i := range images {
		all = append(all, i.Name)
	}
	slices.Sort(all)
	return slices.Compact(all), err
}
