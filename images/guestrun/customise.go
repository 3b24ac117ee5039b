package guestrun

import (
	"context"
	"crypto/rand"
	_ "embed" // the guest's script
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/inventory"
)

//go:embed cleanup.sh
var cleanupScript string

// CustomiseOptions says what to make of an existing image.
type CustomiseOptions struct {
	// Name is for errors and logs.
	Name string
	// Base is the image, raw or qcow2 as Format says. It is not changed.
	Base, Format string
	// SizeBytes is the new disk, with the root grown by the guest; 0 is the base's size.
	SizeBytes int64
	// Dir is for the work and the result. Required.
	Dir string
	// Packages is a folder of .debs, which are apt's only source in the guest; empty for
	// none. Install names packages to install before the scripts run.
	Packages string
	Install  []string
	// Scripts run in order; the first that fails ends it.
	Scripts []Command
	// KeepState leaves out the cleanup, for an image that continues as it is.
	KeepState bool

	// Firmware, MemoryMiB and CPUs are those of the machine; see [Machine].
	Firmware        qemu.Firmware
	MemoryMiB, CPUs int
	Accelerator     qemu.Accelerator
	// Stall and Limit are as in [Machine].
	Stall, Limit time.Duration
	// Output takes what the scripts print, Log what happens; nil discards.
	Output io.Writer
	Log    *slog.Logger
	// Progress is told what is done; may be nil.
	Progress func(step string)
}

var packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?$`)

func (o *CustomiseOptions) setDefaults() error {
	if o.Dir == "" || o.Base == "" {
		return errors.New("an image and a folder are required")
	}
	for _, name := range o.Install {
		if !packageName.MatchString(name) {
			return inventory.Invalid("package %q is not a Debian package's name", name)
		}
	}
	if len(o.Install) > 0 && o.Packages == "" {
		return inventory.Invalid("packages to install and no folder to take them from: the guest has no network")
	}
	for _, c := range o.Scripts {
		if err := c.Check(); err != nil {
			return err
		}
	}
	if o.Output == nil {
		o.Output = io.Discard
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return nil
}

// Customise boots an image without a network, runs scripts in it, cleans it of all that
// belongs to that boot, and returns the path of the new raw disk in Dir, which is the
// caller's. The image needs cloud-init and virtio_console, which cloud images have. A
// script that fails is a [*GuestError] with what it said last; nothing is left behind.
func Customise(ctx context.Context, o CustomiseOptions) (raw string, err error) {
	if err := o.setDefaults(); err != nil {
		return "", fmt.Errorf("customise image %s: %w", o.Name, err)
	}
	raw, err = o.run(ctx)
	if err != nil {
		return "", fmt.Errorf("customise image %s: %w", o.Name, err)
	}
	return raw, nil
}

func (o *CustomiseOptions) run(ctx context.Context) (raw string, err error) {
	work, err := newScratch(o.Dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, work.remove()) }()
	m, err := o.machine(ctx, work)
	if err != nil {
		return "", err
	}
	o.Progress("boot")
	g, err := Run(ctx, m)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	if err := o.change(ctx, g); err != nil {
		return "", withConsole(err)
	}
	o.Progress("shut down")
	if err := g.Shutdown(ctx, 5*time.Minute); err != nil {
		return "", err
	}
	o.Progress("flatten")
	return flatten(ctx, g.Disk, o.Dir)
}

func (o *CustomiseOptions) machine(ctx context.Context, work *scratch) (Machine, error) {
	seed, err := quietSeed("customise-" + strings.ToLower(rand.Text()[:10]))
	if err != nil {
		return Machine{}, err
	}
	m := Machine{Name: "customise-" + o.Name, Dir: o.Dir, Base: o.Base, Format: o.Format, SizeBytes: o.SizeBytes, Seed: seed, Network: NetworkClosed,
		Firmware: o.Firmware, MemoryMiB: o.MemoryMiB, CPUs: o.CPUs, Accelerator: o.Accelerator, Stall: o.Stall, Limit: o.Limit, Log: o.Log}
	if o.Packages == "" {
		return m, nil
	}
	o.Progress("packages")
	m.Disks = []string{work.path("packages.img")}
	return m, packageDisk(ctx, o.Packages, work.path("packages"), m.Disks[0])
}

// booted waits for cloud-init's last stage, which may still hold locks and write.
const booted = `command -v cloud-init >/dev/null && cloud-init status --wait >/dev/null 2>&1; exit 0`

// change runs all commands.
func (o *CustomiseOptions) change(ctx context.Context, g *Guest) error {
	steps := []Command{{Name: "wait for the end of the boot", Script: booted, Timeout: 20 * time.Minute}}
	if o.Packages != "" {
		steps = append(steps, Command{Name: "set packages up", Script: packagesScript, Env: packagesEnv})
	}
	if len(o.Install) > 0 {
		steps = append(steps, Command{Name: "install packages", Timeout: time.Hour, Env: packagesEnv,
			Script: "apt-get -q install --no-install-recommends -- " + strings.Join(o.Install, " ")})
	}
	for _, c := range o.Scripts {
		if o.Packages != "" {
			env := maps.Clone(packagesEnv)
			maps.Copy(env, c.Env)
			c.Env = env
		}
		steps = append(steps, c)
	}
	if !o.KeepState {
		steps = append(steps, Command{Name: "clean up", Script: cleanupScript})
	}
	for _, c := range steps {
		if err := o.step(ctx, g, c); err != nil {
			return err
		}
	}
	return nil
}

func (o *CustomiseOptions) step(ctx context.Context, g *Guest, c Command) error {
	o.Progress(c.Name)
	r, err := g.Do(ctx, c)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(o.Output, r.Output); err != nil {
		return fmt.Errorf("write output of %s: %w", c.Name, err)
	}
	switch {
	case r.TimedOut:
		return guestErrorf("script %q did not end within %v: %s", c.Name, c.timeout(), oneLine(r.Output))
	case r.ExitCode != 0:
		return guestErrorf("script %q ended with status %d: %s", c.Name, r.ExitCode, oneLine(r.Output))
	}
	return nil
}

func oneLine(s string) string { return strings.ReplaceAll(LastLines(s, 6), "\n", " / ") }

// withConsole adds the console's last words to a guest's failure.
func withConsole(err error) error {
	var guest *GuestError
	if errors.As(err, &guest) && guest.Console != "" {
		return fmt.Errorf("%w; the console said: %s", err, strings.ReplaceAll(guest.Console, "\n", " / "))
	}
	return err
}

// flatten writes the disk of an ended guest to a raw file of its own in dir.
func flatten(ctx context.Context, disk, dir string) (string, error) {
	part := disk + ".raw"
	if _, err := tool(ctx, dir, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", "-S", "4k", disk, part); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, "disk-*.raw")
	if err != nil {
		return "", err
	}
	if err := errors.Join(f.Close(), os.Rename(part, f.Name())); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return filepath.Clean(f.Name()), nil
}
