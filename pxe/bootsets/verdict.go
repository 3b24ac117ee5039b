package bootsets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"ingot/inventory"
)

// FailedError is a set that did not pass its boot test.
type FailedError struct {
	Set inventory.BootSet
	// Current is the set that machines go on with, empty for none.
	Current string
}

func (e *FailedError) Error() string {
	rest := "no machine boots it: they go on with set " + e.Current
	switch {
	case e.Current == e.Set.ID:
		rest = "machines boot it all the same, as it is the current one"
	case e.Current == "":
		rest = "it was not promoted, and there is no other"
	}
	return fmt.Sprintf("boot set %s (kernel %s) failed its boot test (%s); %s", e.Set.ID, e.Set.Kernel, e.Set.Problem(), rest)
}

// test boots a set by each mode, and is a *FailedError when it does not pass.
func (k *Keeper) test(ctx context.Context, set inventory.BootSet, modes []string, step func(string)) (inventory.BootSet, error) {
	for _, mode := range modes {
		step("boot test " + mode)
		t, err := k.Tester.Test(ctx, set, k.Store.setDir(set.ID), mode)
		if err != nil {
			return set, fmt.Errorf("boot test of set %s (%s): %w", set.ID, mode, err)
		}
		if err := k.Store.tested(set.ID, t); err != nil {
			return set, err
		}
		k.Log.Info("boot set tested", "set", set.ID, "mode", mode, "passed", t.Passed, "problem", t.Problem, "skipped", t.Skipped, "seconds", t.Seconds)
		if t.Skipped != "" {
			continue
		}
		if err := k.tell(ctx, inventory.BootSetTested{Set: set.ID, Kernel: set.Kernel, Mode: mode, Passed: t.Passed, Problem: t.Problem}); err != nil {
			return set, err
		}
	}
	set, err := k.Store.Get(set.ID)
	if err != nil {
		return set, err
	}
	return set, k.verdict(set, modes)
}

// verdict of the modes that were tested now.
func (k *Keeper) verdict(set inventory.BootSet, modes []string) error {
	if set.Problem() != "" {
		current, err := k.Store.Current()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return &FailedError{Set: set, Current: current}
	}
	var skipped []string
	for _, t := range set.Tests {
		if slices.Contains(modes, t.Mode) && t.Passed {
			return nil
		}
		skipped = append(skipped, t.Mode+": "+t.Skipped)
	}
	return fmt.Errorf("boot set %s can't be tested here (%s): %w", set.ID, joined(skipped), inventory.ErrUnsupported)
}
