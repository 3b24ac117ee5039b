package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/inventory/api"
)

func (a *app) imageExport() *cobra.Command {
	var in api.ImageExport
	var data string
	cmd := &cobra.Command{Use: "export REF FILE", Short: "Write an image to a file of the server's, in a format", Args: exactly(2), RunE: func(cmd *cobra.Command, args []string) error {
		path, err := filepath.Abs(args[1])
		if err != nil {
			return fmt.Errorf("find %s: %w", args[1], err)
		}
		in.Image, in.Path = args[0], path
		if in.Format == "" {
			if in.Format = formatOf(path); in.Format == "" {
				return usage("%s has no ending that names a format: --format must be given", args[1])
			}
		}
		if err := existingData(data); err != nil {
			return err
		}
		work, err := a.imageWorker(data)
		if err != nil {
			return err
		}
		b := newBar(a.err)
		image, err := work.Export(cmd.Context(), in, func(l api.WorkLine) { showWork(b, l) })
		b.done()
		if err != nil {
			return err
		}
		return a.documentOr(image, func() error {
			fmt.Fprintf(a.out, "%s: %s@%s as %s\n", path, image.Name, shortDigest(image.Digest, false), in.Format)
			return nil
		})
	}}
	cmd.Flags().StringVar(&in.Format, "format", "", "raw, raw.zst, qcow2, vmdk, ova or vhdx (default: by the file's ending)")
	cmd.Flags().BoolVar(&in.Overwrite, "overwrite", false, "replace a file that is there")
	cmd.Flags().StringVar(&data, "data", "", "work on this data directory without a server")
	return cmd
}

// formatOf is the format that a file's ending names, empty for none.
func formatOf(path string) string {
	for _, format := range []string{"raw", "raw.zst", "qcow2", "vmdk", "ova", "vhdx"} {
		if strings.HasSuffix(path, "."+format) {
			return format
		}
	}
	return ""
}

func (a *app) imageCollect() *cobra.Command {
	var in api.ImageCollect
	cmd := a.imageCall("gc", "Remove the images that no channel, machine or rule keeps", 0, func(ctx context.Context, c *api.Client, _ []string) error {
		rows, err := c.Collect(ctx, in)
		if err != nil {
			return err
		}
		type r = api.ImageDecision
		return list(a, rows, []column[r]{
			{"NAME", false, func(x r) string { return x.Name }},
			{"VERSION", false, func(x r) string { return x.Version }},
			{"DIGEST", false, func(x r) string { return shortDigest(x.Digest, a.output == "wide") }},
			{"IN", !slices.ContainsFunc(rows, func(x r) bool { return x.Bucket }), func(x r) string { return place(x.Bucket) }},
			{"WHAT", false, func(x r) string { return decision(x, in.DryRun) }},
			{"FREES", false, func(x r) string {
				if x.Keep {
					return ""
				}
				return inventory.FormatBytes(x.FreesBytes)
			}},
			{"WHY", false, func(x r) string { return x.Why }},
		})
	})
	cmd.Flags().BoolVar(&in.DryRun, "dry-run", false, "say what would become of each image, and remove none")
	return cmd
}

// place is where an image is decided about.
func place(bucket bool) string {
	if bucket {
		return "bucket"
	}
	return "store"
}

func decision(d api.ImageDecision, dry bool) string {
	switch {
	case d.Keep:
		return "keep"
	case dry:
		return "remove"
	}
	return "removed"
}
