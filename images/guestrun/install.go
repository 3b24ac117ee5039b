package guestrun

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/inventory"
)

// InstallOptions says how an installer is run.
type InstallOptions struct {
	// Name is for errors and logs.
	Name string
	// Dir is for the work and the result. Required.
	Dir string
	// Kernel and Initrd are the installer's, booted directly; without them the machine
	// boots from ISO.
	Kernel, Initrd, CommandLine string
	ISO                         string
	// InitrdFiles are added to the initrd, by absolute path: "/preseed.cfg".
	InitrdFiles map[string][]byte
	// Disks are more disks, which the installer may only read, with its answers for
	// example: paths of raw images.
	Disks []string
	// SizeBytes is the disk to install on. Required.
	SizeBytes int64

	// Firmware, MemoryMiB, CPUs, Network and Accelerator are as in [Machine].
	Firmware        qemu.Firmware
	MemoryMiB, CPUs int
	Network         Network
	Accelerator     qemu.Accelerator
	// Stall and Limit are as in [Machine].
	Stall, Limit time.Duration

	// Accepted is what the console says once the answers are accepted, nil not to look.
	// With StopWhenAccepted the installer is ended there and there is no disk.
	Accepted         *regexp.Regexp
	StopWhenAccepted bool
	// Refused is what the console says when they are not; nil not to look.
	Refused *regexp.Regexp
	// ConsoleLog is where the console's log is kept, also after an error; empty for nowhere.
	ConsoleLog string
	// Log is told what happens; nil discards.
	Log *slog.Logger
	// Progress is told what is done; may be nil.
	Progress func(step string)
}

func (o *InstallOptions) setDefaults() error {
	switch {
	case o.Dir == "" || o.SizeBytes <= 0:
		return errors.New("a folder and the size of the disk are required")
	case o.Kernel == "" && o.ISO == "":
		return inventory.Invalid("neither a kernel nor an ISO to boot the installer from")
	case len(o.InitrdFiles) > 0 && o.Initrd == "":
		return inventory.Invalid("files for an initrd and no initrd")
	case o.StopWhenAccepted && o.Accepted == nil:
		return inventory.Invalid("to stop when the answers are accepted, say what the console says then")
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return nil
}

// Install runs an unattended installer until it switches the machine off or restarts it,
// and returns the path of the raw disk in Dir, which is the caller's. It is empty with
// StopWhenAccepted. An installer that stops, asks or ends before its answers were accepted is a
// [*GuestError]; nothing is left behind then.
func Install(ctx context.Context, o InstallOptions) (raw string, err error) {
	if err := o.setDefaults(); err != nil {
		return "", fmt.Errorf("run installer %s: %w", o.Name, err)
	}
	if raw, err = o.run(ctx); err != nil {
		return "", fmt.Errorf("run installer %s: %w", o.Name, withConsole(err))
	}
	return raw, nil
}

func (o *InstallOptions) run(ctx context.Context) (raw string, err error) {
	work, err := newScratch(o.Dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, work.remove()) }()
	m := Machine{Name: "install-" + o.Name, Dir: o.Dir, SizeBytes: o.SizeBytes, Kernel: o.Kernel, Initrd: o.Initrd, Append: o.CommandLine, Disks: o.Disks, CDROM: o.ISO,
		Firmware: o.Firmware, MemoryMiB: o.MemoryMiB, CPUs: o.CPUs, Network: o.Network, Accelerator: o.Accelerator,
		Stall: o.Stall, Limit: o.Limit, MaxConsoleBytes: 64 << 20, EndAtReset: true, Log: o.Log}
	if len(o.InitrdFiles) > 0 {
		m.Initrd = work.path("initrd")
		if err := withFiles(o.Initrd, o.InitrdFiles, m.Initrd); err != nil {
			return "", fmt.Errorf("add files to initrd: %w", err)
		}
	}
	o.Progress("boot")
	g, err := Run(ctx, m)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, o.keep(g), g.Close()) }()
	return o.follow(ctx, g)
}

func (o *InstallOptions) keep(g *Guest) error {
	if o.ConsoleLog == "" {
		return nil
	}
	return g.SaveConsole(o.ConsoleLog)
}

// follow waits for the installer's words and its end.
func (o *InstallOptions) follow(ctx context.Context, g *Guest) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	defer func() { cancel(nil); <-watched }()
	go func() {
		defer close(watched)
		if o.Refused == nil {
			return
		}
		if said, err := g.WaitConsole(ctx, o.Refused); err == nil {
			e := guestErrorf("the installer does not take its answers: %q", said)
			e.Console = LastLines(g.ConsoleTail(), 12)
			cancel(e)
		}
	}()
	if o.Accepted != nil {
		o.Progress("answers")
		said, err := g.WaitConsole(ctx, o.Accepted)
		if err != nil {
			return "", fmt.Errorf("before the answers were accepted: %w", err)
		}
		g.log.Info("answers accepted", "console", said)
		if o.StopWhenAccepted {
			return "", nil
		}
	}
	o.Progress("install")
	select {
	case <-g.Failed():
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if err := g.Err(); !errors.Is(err, ErrOff) {
		return "", err
	}
	return o.takeDisk(g)
}

// takeDisk moves the disk of an ended guest out of its folder.
func (o *InstallOptions) takeDisk(g *Guest) (string, error) {
	f, err := os.CreateTemp(o.Dir, "disk-*.raw")
	if err != nil {
		return "", err
	}
	if err := errors.Join(f.Close(), os.Rename(g.Disk, f.Name())); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}
