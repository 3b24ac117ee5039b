package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"ingot/cmd/ingot/daemon"
	"ingot/inventory"
	"ingot/inventory/api"
)

const channelLong = `The channel moves to the image after its boot test, in each mode that it boots in. A
channel that never pointed anywhere moves at once: nobody follows it yet. Other channels:
ingot image promote.`

func (a *app) imageBuild() *cobra.Command {
	var in api.ImageBuild
	var data string
	var set []string
	cmd := &cobra.Command{Use: "build RECIPE", Short: "Build an image from a recipe: a built-in name or a YAML file", Long: channelLong, Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := readRecipe(&in, args[0], set); err != nil {
				return err
			}
			work, err := a.imageWorker(data)
			if err != nil {
				return err
			}
			return a.imageWork(func(f func(api.WorkLine)) (inventory.Image, error) { return work.Build(cmd.Context(), in, f) })
		}}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "work on this data directory without a server")
	f.StringVar(&in.Channel, "channel", "", "channel to move to the new version, - for none (default: stable)")
	f.BoolVar(&in.Force, "force", false, "build again even if the recipe didn't change")
	f.BoolVar(&in.Untested, "untested", false, "move the channel without a boot test")
	f.StringArrayVar(&set, "set", nil, "a variable of the recipe: NAME=VALUE (repeatable)")
	return cmd
}

// readRecipe reads a file and what lies beside it into one text; a plain name is a built-in
// recipe.
func readRecipe(in *api.ImageBuild, name string, set []string) error {
	in.Recipe, in.Set = name, map[string]string{}
	for _, kv := range set {
		key, value, ok := strings.Cut(kv, "=")
		if !ok {
			return usage("--set %q (want NAME=VALUE)", kv)
		}
		in.Set[key] = value
	}
	path, file := isFile(name)
	switch {
	case file:
		text, err := daemon.RecipeText(path, in.Set)
		in.Recipe, in.Text, in.Set = filepath.Base(name), text, nil
		return err
	case strings.ContainsAny(name, "/."):
		_, err := os.Stat(name)
		return fmt.Errorf("read recipe: %w", errors.Join(err, notRegular(name, err)))
	}
	return nil
}

// notRegular is what is wrong with a name that is there and no file.
func notRegular(name string, err error) error {
	if err != nil {
		return nil
	}
	return inventory.Invalid("%s is no file", name)
}

// imageWorker is the server, or a data directory.
type imageWorker interface {
	Build(ctx context.Context, in api.ImageBuild, progress func(api.WorkLine)) (inventory.Image, error)
	Import(ctx context.Context, in api.ImageImport, progress func(api.WorkLine)) (inventory.Image, error)
	Test(ctx context.Context, in api.ImageTest, progress func(api.WorkLine)) (inventory.Image, error)
	Export(ctx context.Context, in api.ImageExport, progress func(api.WorkLine)) (inventory.Image, error)
}

// warnings are what work on a data directory tells beside its result.
func (a *app) warnings() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func (a *app) imageWorker(data string) (imageWorker, error) {
	if data != "" {
		return daemon.LocalImages(data, a.warnings())
	}
	return a.client()
}

// imageWork shows the course of long work with a bar, and its image.
func (a *app) imageWork(f func(func(api.WorkLine)) (inventory.Image, error)) error {
	b := newBar(a.err)
	unchanged := false
	image, err := f(func(l api.WorkLine) {
		unchanged = unchanged || l.Unchanged
		showWork(b, l)
	})
	b.done()
	if err != nil {
		return err
	}
	return a.documentOr(image, func() error {
		fmt.Fprintf(a.out, "%s@%s (%s, %s stored)\n", image.Name, image.Digest, inventory.FormatBytes(image.SizeBytes), inventory.FormatBytes(image.StoredBytes))
		if unchanged {
			fmt.Fprintln(a.out, "nothing changed: it was there already")
		}
		if tested(image) == "" && len(image.BootModes) > 0 {
			fmt.Fprintf(a.out, "not boot-tested yet: ingot image test %s\n", image.Name+"@"+shortDigest(image.Digest, false))
		}
		return nil
	})
}

func showWork(b *bar, l api.WorkLine) {
	if l.Count > 0 {
		b.update("image", fmt.Sprintf("%s (%d of %d)", l.Step, l.Index, l.Count), inventory.Progress{})
		return
	}
	b.update("image", l.Step, inventory.Progress{Bytes: l.Bytes, TotalBytes: l.Total})
}

func (a *app) imageImport() *cobra.Command {
	in := api.ImageImport{FirstBoot: "cloud-init"}
	var data string
	cmd := &cobra.Command{Use: "import FILE|URL", Short: "Import a disk image that the server can read (raw, qcow2, vmdk, vhdx, ova; also compressed)", Long: channelLong, Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Path = args[0]
			if !strings.Contains(args[0], "://") {
				path, err := filepath.Abs(args[0])
				if err != nil {
					return fmt.Errorf("find %s: %w", args[0], err)
				}
				in.Path = path
			}
			work, err := a.imageWorker(data)
			if err != nil {
				return err
			}
			return a.imageWork(func(f func(api.WorkLine)) (inventory.Image, error) { return work.Import(cmd.Context(), in, f) })
		}}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "work on this data directory without a server")
	f.StringVar(&in.Name, "name", "", "name of the image")
	f.StringVar(&in.Format, "format", "", "raw, raw.zst, qcow2, vmdk or vhdx (default: by its first bytes)")
	f.StringVar(&in.SHA256, "sha256", "", "what the file must hash to, in hex")
	f.StringVar(&in.Channel, "channel", "", "channel to move to it, - for none (default: stable)")
	f.BoolVar(&in.Untested, "untested", false, "move the channel without a boot test")
	f.StringVar(&in.FirstBoot, "first-boot", "cloud-init", "cloud-init, or none for images that nobody phones home from")
	f.StringVar(&in.GrowPartition, "grow", "", "GPT name of the partition to grow to the disk's size")
	f.StringSliceVar(&in.BootModes, "boots", nil, "firmware it boots by: bios, uefi, secureboot")
	_ = cmd.MarkFlagRequired("name") // only fails for an unknown flag
	return cmd
}
