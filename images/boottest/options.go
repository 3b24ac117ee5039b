package boottest

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/images/guestrun"
	"ingot/images/master"
	"ingot/inventory"
)

// Check is a command to run in the booted system, as root, and what must come of it.
type Check struct {
	Name string
	// Command is a script for /bin/sh.
	Command string
	// ExitCode must be the command's.
	ExitCode int
	// Expect must match what it prints, without line breaks at its end, when not nil:
	// "^active$" is what systemctl is-active says.
	Expect *regexp.Regexp
	// Timeout is a minute when 0.
	Timeout time.Duration
}

// Options says what to test, and how.
type Options struct {
	Image inventory.Image
	// Open makes the image's disk readable as a file: its path and format, raw or qcow2.
	// The file stays the caller's and is not written.
	Open func(ctx context.Context) (path, format string, err error)
	// Mode is bios, uefi or secureboot.
	Mode string
	// Checks come after those that every image must pass.
	Checks []Check
	// GrowPartition is the GPT name of the partition that is grown on the disk and must
	// fill it afterwards; empty for none. The image's own when empty.
	GrowPartition string
	// Reached is what the console says when an image that nobody speaks for (FirstBoot
	// "none") is up; nil is a login prompt.
	Reached *regexp.Regexp
	// Timeout is for all of it, 15 minutes when 0; Stall is how long the guest may be
	// silent, 5 minutes when 0.
	Timeout, Stall time.Duration
	// Dir is where the test's folder with console log and screenshot is made. Required.
	Dir string
	// Log is told of the test's course; nil discards.
	Log *slog.Logger
	// Progress is told what is waited for; may be nil.
	Progress func(step string)

	now  func() time.Time // for the clock check's test
	home string           // a phone-home URL in place of ours, for tests
}

// loginPrompt is what getty says (agetty(8)).
var loginPrompt = regexp.MustCompile(`(?m)login: *$`)

func (o *Options) setDefaults() error {
	if o.Dir == "" || o.Open == nil {
		return fmt.Errorf("test image %s: no folder, or nothing to open the image with", o.Image.Name)
	}
	if _, err := o.firmware(); err != nil {
		return err
	}
	if o.Image.SizeBytes <= 0 {
		return inventory.Invalid("test image %s: it has no size", o.Image.Name)
	}
	for _, c := range o.Checks {
		if err := (guestrun.Command{Name: c.Name, Script: c.Command, Timeout: c.Timeout}).Check(); err != nil {
			return fmt.Errorf("test image %s: %w", o.Image.Name, err)
		}
	}
	if o.GrowPartition == "" {
		o.GrowPartition = o.Image.GrowPartition
	}
	if o.Reached == nil {
		o.Reached = loginPrompt
	}
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Minute
	}
	if o.Stall == 0 {
		o.Stall = guestrun.DefaultStall
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.now == nil {
		o.now = time.Now
	}
	return nil
}

func (o *Options) firmware() (qemu.Firmware, error) {
	switch master.BootMode(o.Mode) {
	case master.BootBIOS:
		return qemu.FirmwareBIOS, nil
	case master.BootUEFI:
		return qemu.FirmwareUEFI, nil
	case master.BootSecureBoot:
		return qemu.FirmwareSecureBoot, nil
	}
	return "", inventory.Invalid("test image %s: boot mode %q: want bios, uefi or secureboot", o.Image.Name, o.Mode)
}

// speaks reports whether somebody in the installed system reads the seed.
func (o *Options) speaks() bool { return o.Image.FirstBoot != string(master.FirstBootNone) }
