package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"ingot/cmd/ingot/daemon"
	"ingot/inventory"
	"ingot/inventory/api"
)

func (a *app) imageTest() *cobra.Command {
	var in api.ImageTest
	var data string
	cmd := &cobra.Command{Use: "test REF", Short: "Boot an image as a deployment does, and see whether all is well in it", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		in.Image = args[0]
		if err := existingData(data); err != nil {
			return err
		}
		work, err := a.imageWorker(data)
		if err != nil {
			return err
		}
		b := newBar(a.err)
		image, err := work.Test(cmd.Context(), in, func(l api.WorkLine) { showWork(b, l) })
		b.done()
		if err != nil {
			return err
		}
		return a.showTests(image, in.Modes)
	}}
	cmd.Flags().StringSliceVar(&in.Modes, "mode", nil, "bios, uefi or secureboot (default: all that it boots in)")
	cmd.Flags().StringVar(&data, "data", "", "work on this data directory without a server")
	return cmd
}

// showTests shows the newest test of each mode. One that failed is exit code 1.
func (a *app) showTests(image inventory.Image, modes []string) error {
	if len(modes) == 0 {
		modes = image.BootModes
	}
	failed := 0
	if err := a.documentOr(image, func() error {
		for _, mode := range modes {
			t, _ := image.TestOf(mode)
			fmt.Fprintln(a.out, testText(t))
			for _, c := range t.Checks {
				fmt.Fprintf(a.out, "  %-6s  %-24s %s\n", verdict(c.Passed), c.Name, c.Detail)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for _, mode := range modes {
		if t, ok := image.TestOf(mode); !ok || !t.Passed {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d boot tests failed; console and screen are in the image store", failed, len(modes))
	}
	return nil
}

func (a *app) imageLint() *cobra.Command {
	in := api.ImageImport{FirstBoot: "cloud-init", BootModes: []string{"bios", "uefi"}}
	cmd := &cobra.Command{Use: "lint FILE|REF", Short: "Look into a disk file, or an image, for what must not be in an image", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		findings, err := a.lint(cmd, args[0], in)
		if err != nil {
			return err
		}
		return a.showLint(findings)
	}}
	cmd.Flags().StringVar(&in.Format, "format", "", "the file's: raw, qcow2, vmdk or vhdx (default: by its first bytes)")
	cmd.Flags().StringVar(&in.FirstBoot, "first-boot", "cloud-init", "cloud-init, or none")
	cmd.Flags().StringSliceVar(&in.BootModes, "boots", in.BootModes, "firmware that it must boot by: bios, uefi, secureboot")
	return cmd
}

// lint looks into a file here, and into an image at the server.
func (a *app) lint(cmd *cobra.Command, what string, in api.ImageImport) ([]api.LintFinding, error) {
	if path, ok := isFile(what); ok {
		dir, done, err := scratchDir()
		if err != nil {
			return nil, err
		}
		defer done()
		in.Path = path
		return daemon.LintFile(cmd.Context(), filepath.Join(dir, "data"), in)
	}
	if strings.Contains(what, "/") { // no image's name has one
		_, err := os.Stat(what)
		return nil, fmt.Errorf("look into a disk file: %w", errors.Join(err, notRegular(what, err)))
	}
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	return c.Lint(cmd.Context(), api.ImageRefs{Image: what})
}

func (a *app) showLint(findings []api.LintFinding) error {
	failed := 0
	for _, f := range findings {
		if f.Level == "failed" {
			failed++
		}
	}
	if err := a.documentOr(findings, func() error {
		for _, f := range findings {
			fmt.Fprintf(a.out, "%-11s  %-24s %s\n", f.Level, f.Check, f.Detail)
			if f.Fix != "" {
				fmt.Fprintf(a.out, "%-11s  %-24s → %s\n", "", "", f.Fix)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%s of %d failed", count(failed, "check"), len(findings))
	}
	return nil
}
