package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/inventory/api"
)

// imageCall runs a command that asks the server and shows what it said.
func (a *app) imageCall(use, short string, args int, f func(ctx context.Context, c *api.Client, args []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: exactly(args), RunE: func(cmd *cobra.Command, given []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		return f(cmd.Context(), c, given)
	}}
}

func (a *app) imagePromote() *cobra.Command {
	return a.imageCall("promote NAME FROM TO", "Move a channel to where another one points, if that passed its boot test", 3, func(ctx context.Context, c *api.Client, args []string) error {
		image, err := c.Promote(ctx, api.ImagePromote{Name: args[0], From: args[1], To: args[2]})
		if err != nil {
			return err
		}
		return a.moved(image, args[2])
	})
}

func (a *app) imageRollback() *cobra.Command {
	return a.imageCall("rollback NAME CHANNEL", "Move a channel back to the version that it pointed to before", 2, func(ctx context.Context, c *api.Client, args []string) error {
		image, err := c.Rollback(ctx, api.ImageRollback{Name: args[0], Channel: args[1]})
		if err != nil {
			return err
		}
		return a.moved(image, args[1])
	})
}

func (a *app) moved(image inventory.Image, channel string) error {
	return a.documentOr(image, func() error {
		fmt.Fprintf(a.out, "%s:%s is %s (%s)\nwho has another version: ingot machine list --outdated\n", image.Name, channel, image.Digest, dash(image.Version))
		return nil
	})
}

func (a *app) imageHistory() *cobra.Command {
	return a.imageCall("history NAME", "Show what a name's channels pointed to, and why", 1, func(ctx context.Context, c *api.Client, args []string) error {
		h, err := c.History(ctx, args[0])
		if err != nil {
			return err
		}
		return a.documentOr(h, func() error {
			version := map[string]string{}
			for _, v := range h.Versions {
				version[v.Digest] = dash(v.Version)
			}
			slices.Reverse(h.Moves)
			type m = inventory.ChannelMove
			return table(a.out, h.Moves, []column[m]{
				{"TIME", false, func(x m) string { return x.At.Local().Format(time.DateTime) }},
				{"CHANNEL", false, func(x m) string { return x.Channel }},
				{"VERSION", false, func(x m) string {
					if v, ok := version[x.Digest]; ok {
						return v
					}
					return "(removed)"
				}},
				{"DIGEST", false, func(x m) string { return shortDigest(x.Digest, a.output == "wide") }},
				{"WHY", false, func(x m) string { return x.Why }},
			}, a.output == "wide")
		})
	})
}

func (a *app) imageDiff() *cobra.Command {
	return a.imageCall("diff A B", "Show the packages and files that changed from one version to another", 2, func(ctx context.Context, c *api.Client, args []string) error {
		d, err := c.Diff(ctx, api.ImageRefs{Image: args[0], Other: args[1]})
		if err != nil {
			return err
		}
		return a.documentOr(d, func() error {
			for _, p := range d.Packages {
				fmt.Fprintf(a.out, "package  %-32s %s → %s\n", p.Name, dash(p.Old), dash(p.New))
			}
			for _, f := range d.Files {
				fmt.Fprintf(a.out, "%-8s %s %s\n", f.What, f.Path, sizes(f))
			}
			fmt.Fprintf(a.out, "%s and %s differ; %s went, %s came\n", count(len(d.Packages), "package"), count(len(d.Files), "file"),
				inventory.FormatBytes(d.RemovedBytes), inventory.FormatBytes(d.AddedBytes))
			return nil
		})
	})
}

func sizes(f api.ImageFileChange) string {
	if f.OldBytes == f.NewBytes {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("(%s → %s)", inventory.FormatBytes(f.OldBytes), inventory.FormatBytes(f.NewBytes)))
}
