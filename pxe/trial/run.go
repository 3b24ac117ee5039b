package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/images/guestrun"
	"ingot/inventory"
	"ingot/pxe/lab"
)

const (
	rackName    = "rack"
	dataName    = "data"
	machineName = "m"
)

// run is one test under way.
type run struct {
	tester        *Tester
	set           inventory.BootSet
	mode          string
	dir, evidence string
	lab           *lab.Lab
	server        *server

	accelerated bool
	facts       string
	files       []string
}

// run goes from an empty directory to facts, and takes all away again but the evidence. A
// *problemError is the set's.
func (r *run) run(ctx context.Context, files string) (err error) {
	if err := errors.Join(os.MkdirAll(r.dir, 0o700), os.RemoveAll(r.evidence), os.MkdirAll(r.evidence, 0o755)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	spec, err := r.spec()
	if err != nil {
		return err
	}
	if err := r.makeData(files); err != nil {
		return err
	}
	if r.lab, err = lab.Up(ctx, filepath.Join(r.dir, rackName), spec); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.lab.Down(context.WithoutCancel(ctx), false)) }()
	r.accelerated = r.lab.Spec().Accelerator == qemu.AcceleratorKVM
	if r.server, err = r.serve(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.server.stop()) }()
	return r.boot(ctx)
}

// boot switches the machine on and waits for its facts.
func (r *run) boot(ctx context.Context) error {
	limit := r.tester.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	// The machine's life is ctx's: at the limit its screen is still to be seen.
	if err := r.lab.Power(ctx, machineName, lab.On); err != nil {
		return err
	}
	console, err := r.lab.Console(limited, machineName)
	if err != nil {
		return err
	}
	heard := listen(console)
	follow, err := r.follow(limited)
	if err != nil {
		return errors.Join(err, console.Close())
	}
	watched := r.watch(limited, heard, follow)
	if watched != nil && ctx.Err() == nil && limited.Err() != nil {
		watched = problem("no facts within %s; its console said at last: %s", limit, guestrun.LastLines(heard.tail(), 1))
	}
	if ctx.Err() != nil {
		watched = ctx.Err()
	}
	kept := r.keep(context.WithoutCancel(ctx))
	off := r.lab.Power(context.WithoutCancel(ctx), machineName, lab.Off)
	closed := console.Close()
	heard.wait()
	return errors.Join(watched, kept, off, closed, follow.stop())
}

// watch waits for the first of: facts, a console that can't go on, a server that ended.
func (r *run) watch(ctx context.Context, heard *listener, follow *events) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case said := <-heard.dead:
			return problem("its console says: %s", said)
		case <-r.server.done:
			return fmt.Errorf("the test's server ended: %s", r.server.lastLines())
		case e, ok := <-follow.events:
			if !ok {
				return fmt.Errorf("the test's events ended: %w", follow.err)
			}
			if done, err := r.look(e); done {
				return err
			}
		}
	}
}

// look decides whether an event ends the test.
func (r *run) look(e inventory.Event) (done bool, err error) {
	p, err := e.Decode()
	if err != nil {
		return true, err
	}
	switch p := p.(type) {
	case inventory.AgentPanic:
		return true, problem("its agent panicked: %s", p.Line)
	case inventory.FactsRead:
		r.facts = p.Summary
		if !wantDisks.MatchString(p.Summary) {
			return true, problem("its agent found other disks than the machine has (%s; want %d disks, one NVMe and one SATA): drivers of the second stage are missing", p.Summary, len(disks))
		}
		return true, nil
	}
	return false, nil
}

// keep saves what the console said and the screen shows.
func (r *run) keep(ctx context.Context) error {
	text, err := os.ReadFile(r.lab.ConsoleLog(machineName))
	if err != nil {
		return fmt.Errorf("keep console log: %w", err)
	}
	if err := r.save("console.log", text); err != nil {
		return err
	}
	if text, err := os.ReadFile(r.server.log); err == nil {
		if err := r.save("server.log", text); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	screen := filepath.Join(r.evidence, "screen.png")
	if p, err := r.lab.Process(machineName); err == nil && p.Screendump(ctx, screen) == nil {
		r.files = append(r.files, screen)
	} // a machine that is gone has no screen
	return nil
}

func (r *run) save(name string, text []byte) error {
	path := filepath.Join(r.evidence, name)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	r.files = append(r.files, path)
	return nil
}
