package boottest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ingot/images/guestrun"
	"ingot/inventory"
)

// The names of the files that a test keeps.
const (
	ConsoleFile = "console.log"
	ScreenFile  = "screen.png"
)

// Test boots the image and returns what was found, with the files that were kept by
// their names ([ConsoleFile], [ScreenFile]), also of a test that did not pass. Errors
// are this host's (a *qemu.MissingError, a full disk, a QEMU that was killed) or ctx's:
// then there is no verdict, and a nightly must not count one.
func Test(ctx context.Context, o Options) (test inventory.ImageTest, files map[string]string, err error) {
	if err := o.setDefaults(); err != nil {
		return test, nil, err
	}
	began := time.Now()
	test = inventory.ImageTest{ID: began.UTC().Format("20060102T150405") + "-" + o.Mode, Mode: o.Mode, Started: began.UTC().Truncate(time.Second)}
	r, err := o.try(ctx, filepath.Join(o.Dir, test.ID))
	if err != nil {
		os.Remove(r.dir) // not when files are in it
		return test, r.files, fmt.Errorf("test image %s on %s: %w", o.Image.Name, o.Mode, err)
	}
	test.Seconds, test.Accelerated, test.Checks = time.Since(began).Round(100*time.Millisecond).Seconds(), r.accelerated, r.verdict()
	test.Passed, test.Problem = r.problem == "", r.problem
	o.Log.Info("image tested", "image", o.Image.Name, "mode", o.Mode, "passed", test.Passed, "problem", test.Problem, "seconds", test.Seconds)
	return test, r.files, nil
}

// tries is how often a guest is started whose timer came too late for it.
const tries = 3

// try runs the test.
func (o *Options) try(ctx context.Context, dir string) (r *run, err error) {
	for range tries {
		r = &run{o: o, dir: dir, files: map[string]string{}}
		if err = r.run(ctx); !errors.Is(err, guestrun.ErrLate) {
			return r, err
		}
		o.Log.Warn("boot again", "image", o.Image.Name, "mode", o.Mode, "err", err)
	}
	return r, err
}

// run is one test under way.
type run struct {
	o           *Options
	dir         string
	files       map[string]string
	accelerated bool

	subject *subject
	home    *home
	guest   *guestrun.Guest

	checks  []inventory.ImageCheck
	skipped []string // checks that could not be made, with the reason
	problem string   // the first failure, as a sentence
}

func (r *run) run(ctx context.Context) (err error) {
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	r.home = newHome()
	if r.subject, err = newSubject(r.o, cmp.Or(r.o.home, r.home.url)); err != nil {
		return err
	}
	r.o.Progress("start")
	if err := r.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.guest.Close()) }()
	watched := r.watch(ctx)
	if err := r.keep(ctx); err != nil && watched == nil {
		watched = err
	}
	return watched
}

func (r *run) start(ctx context.Context) error {
	base, format, err := r.o.Open(ctx)
	if err != nil {
		return fmt.Errorf("open image: %w", err)
	}
	firmware, err := r.o.firmware()
	if err != nil {
		return err
	}
	m := guestrun.Machine{Name: "boot-test-" + r.o.Mode, Dir: r.o.Dir, Base: base, Format: format, SizeBytes: r.o.diskBytes(),
		SectorBytes: r.o.sectorBytes(), Firmware: firmware, Network: guestrun.NetworkClosed, Server: r.home, Stall: r.o.Stall, Limit: r.o.Timeout, Log: r.o.Log}
	if r.o.speaks() {
		m.Prepare = func(disk *guestrun.Overlay, m *guestrun.Machine) error { return r.subject.deploy(r.o, disk, m) }
	}
	if r.guest, err = guestrun.Run(ctx, m); err != nil {
		return err
	}
	r.accelerated = r.guest.Accelerated
	return nil
}

// keep saves what the console said and the screen shows. A machine that is gone has no
// screen.
func (r *run) keep(ctx context.Context) error {
	console := filepath.Join(r.dir, ConsoleFile)
	if err := r.guest.SaveConsole(console); err != nil {
		return fmt.Errorf("keep console log: %w", err)
	}
	r.files[ConsoleFile] = console
	screen := filepath.Join(r.dir, ScreenFile)
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := r.guest.Screenshot(ctx, screen); err != nil {
		r.o.Log.Info("no screenshot", "err", err)
		return nil
	}
	r.files[ScreenFile] = screen
	return nil
}

// add records a check; the first that fails names the problem.
func (r *run) add(name string, passed bool, detail string) {
	r.checks = append(r.checks, check(name, passed, detail))
	if !passed && r.problem == "" {
		first, _, _ := strings.Cut(detail, "\n")
		r.problem = name + ": " + guestrun.LastLines(first, 1)
	}
}

func (r *run) skip(name, why string) { r.skipped = append(r.skipped, name+" ("+why+")") }

// verdict is all checks, and a last one that names those which were not made.
func (r *run) verdict() []inventory.ImageCheck {
	if r.skipped == nil {
		return r.checks
	}
	return append(r.checks, check("not checked", true, strings.Join(r.skipped, ", ")))
}
