package bootsets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"ingot/inventory"
)

// Builder makes sets.
type Builder interface {
	// Key identifies what a set would be made from now; with refresh it asks the mirror for
	// newer packages.
	Key(ctx context.Context, refresh bool) (string, error)
	// Build makes the set of the last Key in the directory out, which is not there yet;
	// parts keeps what the next build can use.
	Build(ctx context.Context, out, parts string) error
}

// Tester boots the set in dir in a virtual machine by the firmware that mode names, until
// the agent in it has reported its facts. What the set does wrong is in the test; an error
// is this host's.
type Tester interface {
	Test(ctx context.Context, set inventory.BootSet, dir, mode string) (inventory.BootSetTest, error)
}

// Keeper renews the sets of a store. Its fields are set before use.
type Keeper struct {
	Store   *Store
	Builder Builder
	Tester  Tester
	// Modes are tested; a set is promoted when it passed those that this host can test.
	Modes []string
	// Machines counts the agents that run each set; nil where nobody knows.
	Machines func(ctx context.Context) (map[string]int, error)
	// Tell records an event; nil tells nobody.
	Tell func(ctx context.Context, p inventory.Payload) error
	Log  *slog.Logger
}

// Order says how to renew.
type Order struct {
	// Untested promotes without a boot test.
	Untested bool
	// Refresh asks the mirror for newer packages.
	Refresh bool
	// Scheduled leaves alone what a person rolled back, and waits for the build or test
	// that is under way.
	Scheduled bool
	// Why is for the timeline.
	Why string
}

// Renewed is what Renew came to.
type Renewed struct {
	Set inventory.BootSet `json:"set"`
	// Unchanged: the current set is made from what there is now.
	Unchanged bool `json:"unchanged"`
	// Note says why a set was left alone.
	Note string `json:"note,omitempty"`
}

// Renew builds a set when what it is made from has changed, tests and promotes it; a current
// set that was never tested is tested. Step is told what begins. Work that was cut short is
// taken up by the next Renew. Another one under way is inventory.ErrBusy, but for a
// scheduled one, which begins when that one ends; a test that failed is a *FailedError.
func (k *Keeper) Renew(ctx context.Context, o Order, step func(string)) (Renewed, error) {
	unlock, err := k.Store.Lock()
	if o.Scheduled && errors.Is(err, inventory.ErrBusy) {
		step("wait for the build or test that is under way")
		unlock, err = k.Store.wait(ctx)
	}
	if err != nil {
		return Renewed{}, err
	}
	defer unlock()
	set, err := k.make(ctx, o.Refresh, step)
	if err != nil {
		return Renewed{}, err
	}
	return k.release(ctx, set, o, step)
}

// Make builds a set when there is none of what there is now, and returns it. It changes
// nothing for the machines.
func (k *Keeper) Make(ctx context.Context) (inventory.BootSet, error) {
	unlock, err := k.Store.Lock()
	if err != nil {
		return inventory.BootSet{}, err
	}
	defer unlock()
	return k.make(ctx, false, func(string) {})
}

func (k *Keeper) make(ctx context.Context, refresh bool, step func(string)) (inventory.BootSet, error) {
	step("packages")
	key, err := k.Builder.Key(ctx, refresh)
	if err != nil {
		return inventory.BootSet{}, err
	}
	id, found, err := k.Store.withKey(key)
	if err != nil {
		return inventory.BootSet{}, err
	}
	if found {
		return k.Store.Get(id)
	}
	step("build")
	set, err := k.Store.add(func(out, parts string) error { return k.Builder.Build(ctx, out, parts) })
	if err == nil {
		k.Log.Info("boot set built", "set", set.ID, "kernel", set.Kernel)
	}
	return set, err
}

// release tests and promotes a set, where that is still to be done.
func (k *Keeper) release(ctx context.Context, set inventory.BootSet, o Order, step func(string)) (Renewed, error) {
	current := set.State == inventory.BootSetCurrent
	switch {
	case current && (set.Tested() || o.Untested):
		return Renewed{Set: set, Unchanged: true}, nil
	case o.Scheduled && set.State == inventory.BootSetWithdrawn:
		note := fmt.Sprintf("set %s is what Debian's packages make, and it was rolled back on %s: `ingot agent test %s --promote` takes it again",
			set.ID, set.Withdrawn.Format("2006-01-02"), set.ID)
		return Renewed{Set: set, Unchanged: true, Note: note}, nil
	}
	why := o.Why
	if o.Untested {
		why += ", untested"
	} else {
		var err error
		if set, err = k.test(ctx, set, k.Modes, step); err != nil {
			return Renewed{Set: set}, err
		}
	}
	if current {
		return Renewed{Set: set, Unchanged: true}, nil
	}
	step("promote")
	set, err := k.promote(ctx, set, why)
	return Renewed{Set: set}, err
}

func (k *Keeper) promote(ctx context.Context, set inventory.BootSet, why string) (inventory.BootSet, error) {
	before, err := k.Store.Current()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return set, err
	}
	if err := k.Store.promote(set.ID); err != nil {
		return set, err
	}
	return k.moved(ctx, set.ID, before, why)
}

// moved tells of a new current set and removes what nobody needs any more.
func (k *Keeper) moved(ctx context.Context, id, before, why string) (inventory.BootSet, error) {
	set, err := k.Store.Get(id)
	if err != nil {
		return set, err
	}
	k.Log.Info("boot set is current", "set", id, "before", before, "kernel", set.Kernel, "why", why)
	if err := k.tell(ctx, inventory.BootSetMoved{Set: id, Kernel: set.Kernel, Before: before, Why: why}); err != nil {
		return set, err
	}
	machines, err := k.machines(ctx)
	if err != nil {
		return set, err
	}
	removed, err := k.Store.collect(machines)
	if len(removed) > 0 {
		k.Log.Info("boot sets removed", "sets", removed)
	}
	return set, err
}

func (k *Keeper) tell(ctx context.Context, p inventory.Payload) error {
	if k.Tell == nil {
		return nil
	}
	return k.Tell(ctx, p)
}

func (k *Keeper) machines(ctx context.Context) (map[string]int, error) {
	if k.Machines == nil {
		return nil, nil
	}
	return k.Machines(ctx)
}
