package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/cmd/ingot/daemon"
	"ingot/inventory"
	"ingot/inventory/api"
)

func (a *app) image() *cobra.Command {
	return group("image", "Golden images: list, build, import", a.imageList(), a.imageShow(), a.imageBuild(), a.imageImport(), a.imageRollout(), a.imageRollouts())
}

func (a *app) imageList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List images", Args: none(), RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		rows, err := c.Images(cmd.Context())
		if err != nil {
			return err
		}
		type r = api.ImageRow
		now := time.Now()
		return list(a, rows, []column[r]{
			{"NAME", false, func(x r) string { return x.Name }},
			{"VERSION", false, func(x r) string { return x.Version }},
			{"CHANNELS", false, func(x r) string { return strings.Join(x.Channels, ",") }},
			{"SIZE", false, func(x r) string { return inventory.FormatBytes(x.SizeBytes) }},
			{"STORED", false, func(x r) string { return inventory.FormatBytes(x.StoredBytes) }},
			{"BOOTS", false, func(x r) string { return strings.Join(x.BootModes, ",") }},
			{"AGE", false, func(x r) string { return age(x.Created, now) }},
			{"DIGEST", false, func(x r) string { return shortDigest(x.Digest, a.output == "wide") }},
		})
	}}
}

func shortDigest(d string, whole bool) string {
	if whole {
		return d
	}
	return d[:min(len(d), len("sha256:")+12)]
}

func (a *app) imageShow() *cobra.Command {
	return &cobra.Command{Use: "show REF", Short: "Show an image", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		image, err := c.Image(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return a.documentOr(image, func() error {
			fmt.Fprintf(a.out, "name      %s@%s\nversion   %s\nsize      %s, %s stored\nsectors   %d bytes\nboots     %s\nfirst boot %s\ngrows     %s\ncreated   %s\n",
				image.Name, image.Digest, dash(image.Version), inventory.FormatBytes(image.SizeBytes), inventory.FormatBytes(image.StoredBytes),
				image.LogicalSectorBytes, strings.Join(image.BootModes, ", "), image.FirstBoot, dash(image.GrowPartition), image.Created.Local().Format(time.DateTime))
			return nil
		})
	}}
}

func (a *app) imageBuild() *cobra.Command {
	var in api.ImageBuild
	var data string
	cmd := &cobra.Command{Use: "build RECIPE", Short: "Build an image from a recipe: a built-in name or a YAML file", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Recipe = args[0]
			text, err := os.ReadFile(args[0])
			switch {
			case err == nil:
				in.Text, in.Recipe = string(text), filepath.Base(args[0])
			case !errors.Is(err, fs.ErrNotExist) || strings.ContainsAny(args[0], "/."):
				return fmt.Errorf("read recipe: %w", err)
			}
			work, err := a.imageWorker(data)
			if err != nil {
				return err
			}
			b := newBar(a.err)
			image, err := work.Build(cmd.Context(), in, showWork(b))
			b.done()
			return a.imageMade(image, err)
		}}
	cmd.Flags().StringVar(&data, "data", "", "work on this data directory without a server")
	cmd.Flags().StringVar(&in.Channel, "channel", "", "channel to move to the new version (default: stable)")
	cmd.Flags().BoolVar(&in.Force, "force", false, "build again even if the recipe didn't change")
	return cmd
}

// imageWorker is the server, or a data directory.
type imageWorker interface {
	Build(ctx context.Context, in api.ImageBuild, progress func(api.WorkLine)) (inventory.Image, error)
	Import(ctx context.Context, in api.ImageImport, progress func(api.WorkLine)) (inventory.Image, error)
}

func (a *app) imageWorker(data string) (imageWorker, error) {
	if data != "" {
		return daemon.LocalImages(data)
	}
	return a.client()
}

func showWork(b *bar) func(api.WorkLine) {
	return func(l api.WorkLine) {
		p := inventory.Progress{Bytes: l.Bytes, TotalBytes: l.Total}
		if l.Total > 0 && l.Total < 1000 {
			b.update("image", fmt.Sprintf("%s (%d of %d)", l.Step, l.Bytes, l.Total), inventory.Progress{})
			return
		}
		b.update("image", l.Step, p)
	}
}

func (a *app) imageMade(image inventory.Image, err error) error {
	if err != nil {
		return err
	}
	return a.documentOr(image, func() error {
		fmt.Fprintf(a.out, "%s@%s (%s, %s stored)\n", image.Name, image.Digest, inventory.FormatBytes(image.SizeBytes), inventory.FormatBytes(image.StoredBytes))
		return nil
	})
}

func (a *app) imageImport() *cobra.Command {
	in := api.ImageImport{FirstBoot: "cloud-init"}
	var data string
	cmd := &cobra.Command{Use: "import FILE", Short: "Import a disk image that the server can read (raw, raw.zst, qcow2, vmdk, vhdx)", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[0])
			if err != nil {
				return fmt.Errorf("find %s: %w", args[0], err)
			}
			in.Path = path
			work, err := a.imageWorker(data)
			if err != nil {
				return err
			}
			b := newBar(a.err)
			image, err := work.Import(cmd.Context(), in, showWork(b))
			b.done()
			return a.imageMade(image, err)
		}}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "work on this data directory without a server")
	f.StringVar(&in.Name, "name", "", "name of the image")
	f.StringVar(&in.Format, "format", "", "raw, raw.zst, qcow2, vmdk or vhdx (default: by its first bytes)")
	f.StringVar(&in.SHA256, "sha256", "", "what the file must hash to, in hex")
	f.StringVar(&in.Channel, "channel", "", "channel to move to it (default: stable)")
	f.StringVar(&in.FirstBoot, "first-boot", "cloud-init", "cloud-init, or none for images that nobody phones home from")
	f.StringVar(&in.GrowPartition, "grow", "", "GPT name of the partition to grow to the disk's size")
	f.StringSliceVar(&in.BootModes, "boots", nil, "firmware it boots by: bios, uefi, secureboot")
	_ = cmd.MarkFlagRequired("name") // only fails for an unknown flag
	return cmd
}
