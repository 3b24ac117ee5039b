package agent

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mounts are the file systems that PID 1 finds missing.
var mounts = []struct {
	fs, dir, options string
	optional         bool
}{
	{"proc", "/proc", "", false},
	{"sysfs", "/sys", "", false},
	{"devtmpfs", "/dev", "mode=0755", false},
	{"tmpfs", "/run", "mode=0755", false},
	{"tmpfs", "/tmp", "mode=1777", false},
	{"configfs", "/sys/kernel/config", "", true},
	{"efivarfs", "/sys/firmware/efi/efivars", "", true},
}

// mountAll mounts what is needed; optional ones may be missing (BIOS has no efivarfs).
func mountAll() error {
	var errs []error
	for _, m := range mounts {
		if err := mount(m.fs, m.dir, m.options); err != nil && !m.optional {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func mount(fs, dir, options string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil && fs != "configfs" && fs != "efivarfs" {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	err := unix.Mount(fs, dir, fs, unix.MS_NOSUID, options)
	if err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("mount %s on %s: %w", fs, dir, err)
	}
	return nil
}
