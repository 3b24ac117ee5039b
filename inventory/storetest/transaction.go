package storetest

import (
	"context"
	"errors"
	"testing"

	"ingot/inventory"
)

func rollback(t *testing.T, s inventory.Store) {
	err := s.Update(t.Context(), func(x inventory.Tx) error {
		return errors.Join(x.PutMachine(t.Context(), Machine(1)), errEnough)
	})
	wantErr(t, err, errEnough)
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		_, err := x.Machine(ctx, "machine-1")
		wantErr(t, err, inventory.ErrNotFound)
		return nil
	})
}

func viewIsSnapshot(t *testing.T, s inventory.Store) {
	put(t, s, Machine(1))
	if err := s.View(t.Context(), func(x inventory.Tx) error { return x.PutMachine(t.Context(), Machine(3)) }); err == nil {
		t.Error("a view wrote")
	}
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		before, err := x.Machines(ctx)
		if err != nil {
			return err
		}
		put(t, s, Machine(2))
		after, err := x.Machines(ctx)
		if len(before) != len(after) {
			t.Errorf("a view saw %d machines, then %d", len(before), len(after))
		}
		return err
	})
}
