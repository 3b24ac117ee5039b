package bootsets

import (
	"context"
	"fmt"
	"strings"

	"ingot/inventory"
)

// List describes the sets with the machines that run them, the newest first.
func (k *Keeper) List(ctx context.Context) ([]inventory.BootSet, error) {
	list, err := k.Store.List()
	if err != nil {
		return nil, err
	}
	machines, err := k.machines(ctx)
	for i := range list {
		list[i].Machines = machines[list[i].ID]
	}
	return list, err
}

// Test boots one set, by the modes given or all, and with promote makes it current when it
// passes. Ref is the beginning of its id; empty is the newest one. Errors are those of
// Renew and Find.
func (k *Keeper) Test(ctx context.Context, ref string, modes []string, promote bool, step func(string)) (inventory.BootSet, error) {
	unlock, err := k.Store.Lock()
	if err != nil {
		return inventory.BootSet{}, err
	}
	defer unlock()
	set, err := k.find(ref)
	if err != nil {
		return set, err
	}
	if len(modes) == 0 {
		modes = k.Modes
	}
	if set, err = k.test(ctx, set, modes, step); err != nil || !promote || set.State == inventory.BootSetCurrent {
		return set, err
	}
	return k.promote(ctx, set, "promoted by hand after its boot test")
}

func (k *Keeper) find(ref string) (inventory.BootSet, error) {
	if ref != "" {
		return k.Store.Find(ref)
	}
	list, err := k.Store.List()
	if err != nil {
		return inventory.BootSet{}, err
	}
	if len(list) == 0 {
		return inventory.BootSet{}, fmt.Errorf("there is no boot set yet: make one with `ingot agent build`: %w", inventory.ErrNotFound)
	}
	return list[0], nil
}

// Rollback makes the set before current again, or the one whose id begins with ref, and
// withdraws the one that was: no schedule takes that again. Nothing to go back to is
// inventory.ErrNotFound, the current set itself inventory.ErrConflict.
func (k *Keeper) Rollback(ctx context.Context, ref string) (inventory.BootSet, error) {
	unlock, err := k.Store.Lock()
	if err != nil {
		return inventory.BootSet{}, err
	}
	defer unlock()
	set, err := k.target(ref)
	if err != nil {
		return set, err
	}
	from, err := k.Store.Current()
	if err != nil {
		return set, err
	}
	if err := k.Store.rollback(set.ID); err != nil {
		return set, fmt.Errorf("roll back to boot set %s: %w", set.ID, err)
	}
	return k.moved(ctx, set.ID, from, "rolled back from "+from)
}

func (k *Keeper) target(ref string) (inventory.BootSet, error) {
	if ref == "" {
		return k.Store.Before()
	}
	set, err := k.Store.Find(ref)
	switch {
	case err != nil:
		return set, err
	case set.State == inventory.BootSetCurrent:
		return set, inventory.Conflict("boot set %s is the current one", set.ID)
	case set.Promoted.IsZero():
		return set, inventory.Conflict("boot set %s was never current: `ingot agent test %s --promote` tests it first", set.ID, set.ID)
	}
	return set, nil
}

func joined(list []string) string { return strings.Join(list, "; ") }
