package trial

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/inventory"
	"ingot/pxe/lab"
)

// The modes.
const (
	BIOS       = "bios"
	UEFI       = "uefi"
	SecureBoot = "secureboot"
)

// Modes are all modes.
var Modes = []string{BIOS, UEFI, SecureBoot}

// DefaultLimit is how long a boot may take: several times what emulation needs.
const DefaultLimit = 8 * time.Minute

// Tester tests sets. Its fields are set before use; it is for one goroutine.
type Tester struct {
	// Dir is where the rack under test stands; what is left there of a test that was
	// killed is taken down first. Required.
	Dir string
	// Program is ingot itself.
	Program string
	// Limit is DefaultLimit when 0.
	Limit time.Duration
	Now   func() time.Time
	Log   *slog.Logger
}

// Test boots the set in dir, and keeps console log, screenshot and the server's log there,
// in the folder test. What the set does wrong is in the test, an error is this
// host's: inventory.ErrUnsupported where it can't test at all, and what lab.Up says.
func (t *Tester) Test(ctx context.Context, set inventory.BootSet, dir, mode string) (inventory.BootSetTest, error) {
	if os.Geteuid() != 0 {
		return inventory.BootSetTest{}, fmt.Errorf("a boot test needs root, for its network: run it with sudo, or do without the test (--untested): %w", inventory.ErrUnsupported)
	}
	out := inventory.BootSetTest{Mode: mode, Started: t.Now().UTC().Truncate(time.Second)}
	if err := t.Sweep(ctx); err != nil {
		return out, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return out, err
	}
	began := t.Now()
	r := &run{tester: t, set: set, mode: mode, dir: filepath.Join(t.Dir, mode), evidence: filepath.Join(dir, "test", mode)}
	err = r.run(ctx, dir)
	var missing *qemu.MissingError
	if errors.As(err, &missing) && filepath.IsAbs(missing.File) {
		out.Skipped = missing.Error()
		return out, nil
	}
	var problem *problemError
	if err != nil && !errors.As(err, &problem) {
		return out, err
	}
	out.Seconds, out.Accelerated = t.Now().Sub(began).Round(100*time.Millisecond).Seconds(), r.accelerated
	out.Passed, out.Facts, out.Files = problem == nil, r.facts, r.files
	if problem != nil {
		out.Problem = problem.Error()
	}
	return out, nil
}

// Sweep takes down what a test left that was killed. A test must not be under way.
func (t *Tester) Sweep(ctx context.Context) error {
	left, err := os.ReadDir(t.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take down what a boot test left: %w", err)
	}
	for _, e := range left {
		dir := filepath.Join(t.Dir, e.Name())
		if err := errors.Join(lab.Down(ctx, filepath.Join(dir, rackName), false), os.RemoveAll(dir)); err != nil {
			return fmt.Errorf("take down what a boot test left: %w", err)
		}
	}
	return nil
}

// problemError is a failure of the set, in one sentence.
type problemError struct{ text string }

func (e *problemError) Error() string { return e.text }

func problem(format string, args ...any) error { return &problemError{fmt.Sprintf(format, args...)} }
