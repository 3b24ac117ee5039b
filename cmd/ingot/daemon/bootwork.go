package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"ingot/images/nightly"
	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/pxe/bootsets"
	"ingot/pxe/trial"
)

// bootWork implements rest.BootSets, with a server and without one.
type bootWork struct {
	Keeper  *bootsets.Keeper
	builder *builder
	tester  *trial.Tester
}

// sweep takes down what a boot test left that was killed, unless one is under way.
func (w *bootWork) sweep(ctx context.Context) error {
	unlock, err := w.Keeper.Store.Lock()
	if errors.Is(err, inventory.ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(w.tester.Sweep(ctx), unlock())
}

// LocalBootSets works on the boot sets of a data directory without a server; a server that
// runs on the same directory follows at the next boot.
func LocalBootSets(b BootFiles) (*LocalBootWork, error) {
	if err := checkModes(b.Modes); err != nil {
		return nil, err
	}
	w, err := openBootWork(b, time.Now)
	return &LocalBootWork{w}, err
}

// LocalBootWork is work on boot sets without a server.
type LocalBootWork struct{ *bootWork }

// BootSets lists the sets, the newest first.
func (w *bootWork) BootSets(ctx context.Context) ([]inventory.BootSet, error) {
	return w.Keeper.List(ctx)
}

// BuildBootSet implements rest.BootSets. A set that failed its test is no error: it says
// so itself.
func (w *bootWork) BuildBootSet(ctx context.Context, in api.BootSetBuild, progress func(api.WorkLine)) (inventory.BootSet, error) {
	r, err := w.Keeper.Renew(ctx, bootsets.Order{Refresh: in.Refresh, Untested: in.Untested, Why: "built by hand"}, steps(progress))
	if err == nil && r.Unchanged {
		progress(api.WorkLine{Unchanged: true})
	}
	return r.Set, forgiven(err)
}

// TestBootSet implements rest.BootSets, as BuildBootSet does.
func (w *bootWork) TestBootSet(ctx context.Context, in api.BootSetTest, progress func(api.WorkLine)) (inventory.BootSet, error) {
	if err := checkModes(in.Modes); err != nil {
		return inventory.BootSet{}, err
	}
	set, err := w.Keeper.Test(ctx, in.Set, in.Modes, in.Promote, steps(progress))
	return set, forgiven(err)
}

// RollbackBootSet implements rest.BootSets.
func (w *bootWork) RollbackBootSet(ctx context.Context, in api.BootSetRollback) (inventory.BootSet, error) {
	return w.Keeper.Rollback(ctx, in.Set)
}

func steps(progress func(api.WorkLine)) func(string) {
	return func(step string) { progress(api.WorkLine{Step: step}) }
}

// forgiven is an error but for a set that failed: the set tells that.
func forgiven(err error) error {
	var failed *bootsets.FailedError
	if errors.As(err, &failed) {
		return nil
	}
	return err
}

// scheduled is one run of the schedule.
func (w *bootWork) scheduled(ctx context.Context, log io.Writer, step func(string)) (nightly.Result, error) {
	r, err := w.Keeper.Renew(ctx, bootsets.Order{Refresh: true, Scheduled: true, Why: "newer packages or agent, and it passed its boot test"}, func(name string) {
		fmt.Fprintln(log, "==", name)
		step(name)
	})
	if r.Note != "" {
		fmt.Fprintln(log, r.Note)
	}
	for _, t := range r.Set.Tests {
		fmt.Fprintln(log, testLine(t))
	}
	out := nightly.Result{Image: "boot-set", Digest: r.Set.Digest, Unchanged: r.Unchanged}
	return out, err
}

func testLine(t inventory.BootSetTest) string {
	switch {
	case t.Skipped != "":
		return fmt.Sprintf("%s: not tested: %s", t.Mode, t.Skipped)
	case !t.Passed:
		return fmt.Sprintf("%s: failed after %.0f s: %s (see %v)", t.Mode, t.Seconds, t.Problem, t.Files)
	}
	return fmt.Sprintf("%s: passed in %.0f s: %s", t.Mode, t.Seconds, t.Facts)
}
