package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ingot/cmd/ingot/daemon"
	"ingot/inventory/api"
)

// completeNames makes the shell offer what can stand behind the verbs of images, boot sets
// and networks.
func (a *app) completeNames(root *cobra.Command) {
	for path, n := range map[string]names{
		"image show": atMostNames(1, imageNames), "image history": atMostNames(1, imageNames), "image diff": atMostNames(2, imageNames),
		"image test": atMostNames(1, imageNames), "image sign": atMostNames(1, imageNames), "image verify": atMostNames(1, imageNames),
		"image rollout": atMostNames(1, imageNames), "image promote": atMostNames(3, imageChannels), "image rollback": atMostNames(2, imageChannels),
		"image schedule run": atMostNames(1, scheduleNames), "image schedule log": atMostNames(1, scheduleNames),
		"agent test": atMostNames(1, bootSetIDs), "agent rollback": atMostNames(1, bootSetIDs), "network add": atMostNames(1, networkNames), "network remove": networkNames,
	} {
		a.completed(n, find(root, path))
	}
	for _, path := range []string{"image export", "image lint"} {
		find(root, path).ValidArgsFunction = a.imagesAndFiles
	}
	find(root, "image build").ValidArgsFunction = cobra.FixedCompletions(daemon.Recipes(), cobra.ShellCompDirectiveDefault)
	for flag, values := range map[string]string{
		"image test --mode": "bios uefi secureboot", "agent test --mode": "bios uefi secureboot",
		"image import --boots": "bios uefi secureboot", "image lint --boots": "bios uefi secureboot",
		"image import --first-boot": "cloud-init none", "image lint --first-boot": "cloud-init none",
		"image import --format": "raw raw.zst qcow2 vmdk vhdx ova", "image lint --format": "raw qcow2 vmdk vhdx",
		"image export --format": "raw raw.zst qcow2 vmdk vhdx ova", "vm create --firmware": "bios uefi",
		"network add --dhcp": "proxy authoritative off", "serve --dhcp": "authoritative proxy off", "serve --log-level": "debug info warn error",
	} {
		path, name, _ := strings.Cut(flag, " --")
		// Only fails for an unknown flag, which TestCompletions finds.
		_ = find(root, path).RegisterFlagCompletionFunc(name, cobra.FixedCompletions(strings.Fields(values), cobra.ShellCompDirectiveNoFileComp))
	}
}

// find is the command of a path, which there is.
func find(root *cobra.Command, path string) *cobra.Command {
	cmd, rest, err := root.Find(strings.Fields(path))
	if err != nil || len(rest) > 0 {
		panic("cli: no command " + path)
	}
	return cmd
}

// atMostNames offers nothing behind the last argument.
func atMostNames(most int, n names) names {
	return func(ctx context.Context, c *api.Client, args []string) ([]string, error) {
		if len(args) >= most {
			return nil, nil
		}
		return n(ctx, c, args)
	}
}

// imagesAndFiles offers images and files for the first argument, and files for the others.
func (a *app) imagesAndFiles(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	all, _ := a.offer(imageNames)(cmd, args, typed)
	return all, cobra.ShellCompDirectiveDefault
}

// imageChannels are an image's name and then its channels.
func imageChannels(ctx context.Context, c *api.Client, args []string) (all []string, err error) {
	if len(args) == 0 {
		return imageNames(ctx, c, args)
	}
	rows, err := c.Images(ctx)
	for _, row := range rows {
		if row.Name == args[0] {
			all = append(all, row.Channels...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), err
}

func scheduleNames(ctx context.Context, c *api.Client, _ []string) (all []string, err error) {
	rows, err := c.Schedules(ctx)
	for _, row := range rows {
		all = append(all, row.Name)
	}
	return all, err
}

func bootSetIDs(ctx context.Context, c *api.Client, _ []string) (all []string, err error) {
	sets, err := c.BootSets(ctx)
	for _, s := range sets {
		all = append(all, s.ID)
	}
	return all, err
}

func networkNames(ctx context.Context, c *api.Client, _ []string) (all []string, err error) {
	rows, err := c.Networks(ctx)
	for _, row := range rows {
		all = append(all, row.Name)
	}
	return all, err
}
