package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/images"
	"ingot/images/build"
	"ingot/images/guestrun"
	"ingot/inventory"
)

// Machines runs the virtual machines that recipes need, on QEMU.
type Machines struct {
	// Dir is for work.
	Dir string
	Log *slog.Logger
}

var _ build.Guest = Machines{}

// Limits of work in a guest, under emulation: an installer takes hours there.
const (
	scriptLimit  = 30 * time.Minute
	installLimit = 6 * time.Hour
	installStall = 45 * time.Minute
)

// Customise implements build.Guest.
func (m Machines) Customise(ctx context.Context, c build.Customisation) error {
	o := guestrun.CustomiseOptions{Name: filepath.Base(c.Base), Base: c.Base, Format: c.Format, SizeBytes: c.SizeBytes, Packages: c.Repository, Install: c.Packages,
		Output: c.Log, Log: m.Log, Progress: func(step string) { fmt.Fprintln(writer(c.Log), "==", step) }}
	for _, s := range c.Scripts {
		o.Scripts = append(o.Scripts, guestrun.Command{Name: s.Name, Script: s.Script, Interpreter: s.Interpreter, Env: s.Env, Timeout: scriptLimit})
	}
	return m.inDir(func(dir string) error {
		o.Dir = dir
		if f := images.Format(c.Format); f == images.FormatVMDK || f == images.FormatVHDX { // not what an overlay is made on
			o.Base, o.Format = filepath.Join(dir, "base.raw"), string(images.FormatRaw)
			if err := images.ToRaw(ctx, c.Base, f, o.Base); err != nil {
				return err
			}
		}
		raw, err := guestrun.Customise(ctx, o)
		if err != nil {
			return err
		}
		return os.Rename(raw, c.To)
	})
}

func writer(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// inDir makes a folder for the work and removes it.
func (m Machines) inDir(f func(dir string) error) error {
	if err := os.MkdirAll(m.Dir, 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(m.Dir, "guest-")
	if err != nil {
		return err
	}
	return errors.Join(f(dir), os.RemoveAll(dir))
}

// Install implements build.Guest.
func (m Machines) Install(ctx context.Context, i build.Installation) error {
	if i.Kind == build.InstallerWindows {
		return fmt.Errorf("run the installer of Windows: it has no drivers for the machine's virtio disk, and was never tried: install it elsewhere and import the disk: %w", inventory.ErrUnsupported)
	}
	o := guestrun.InstallOptions{Name: string(i.Kind), Kernel: i.Kernel, Initrd: i.Initrd, ISO: i.ISO, CommandLine: i.CommandLine, SizeBytes: i.SizeBytes,
		Network: guestrun.NetworkOpen, Stall: installStall, Limit: installLimit, Log: m.Log, Firmware: qemu.FirmwareUEFI,
		Progress: func(step string) { fmt.Fprintln(writer(i.Log), "==", step) }}
	if i.Firmware == "bios" {
		o.Firmware = qemu.FirmwareBIOS
	}
	if i.Accepted != "" {
		accepted, err := regexp.Compile(i.Accepted)
		if err != nil {
			return inventory.Invalid("key source.installer.accepted: %q: %v", i.Accepted, err)
		}
		o.Accepted = accepted
	}
	return m.inDir(func(dir string) error {
		o.Dir = dir
		answers, err := answerDisk(ctx, dir, i)
		if err != nil {
			return err
		}
		if answers != "" {
			o.Disks = []string{answers}
		}
		raw, err := guestrun.Install(ctx, o)
		if err != nil {
			return err
		}
		return os.Rename(raw, i.To)
	})
}
