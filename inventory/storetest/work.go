package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

func work(t *testing.T, s inventory.Store) {
	old := inventory.Rollout{ID: "r-1", Image: "debian-12:stable", Digest: "sha256:ab", Batch: 2, State: inventory.RolloutDone, Created: t0,
		Machines: []inventory.RolloutMachine{{ID: "m-1", Name: "web", Step: inventory.RolloutOK, Generation: 3}}}
	recent := inventory.Rollout{ID: "r-0", Image: "debian-12:stable", State: inventory.RolloutRunning, Created: t0.Add(time.Second)}
	due := inventory.Schedule{Name: "nightly", Due: t0}
	update(t, s, func(ctx context.Context, x inventory.Tx) error {
		return errors.Join(x.PutRollout(ctx, old), x.PutRollout(ctx, recent), x.PutSchedule(ctx, due), x.PutSchedule(ctx, inventory.Schedule{Name: "hourly", Due: t0}))
	})
	due.Failures, due.Last = 1, &inventory.ScheduleRun{Began: t0, Ended: t0.Add(time.Minute), Step: "build", Problem: "disk full"}
	update(t, s, func(ctx context.Context, x inventory.Tx) error {
		return errors.Join(x.PutSchedule(ctx, due), x.DeleteSchedule(ctx, "hourly"))
	})
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		all, err := x.Rollouts(ctx)
		one, err1 := x.Rollout(ctx, "r-1")
		schedules, err2 := x.Schedules(ctx)
		if len(all) != 2 || all[0].ID != "r-0" {
			t.Errorf("rollouts %v, want the newest first", all)
		}
		if diff := cmp.Diff(old, one); diff != "" {
			t.Errorf("rollout (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]inventory.Schedule{due}, schedules); diff != "" {
			t.Errorf("schedules (-want +got):\n%s", diff)
		}
		_, err3 := x.Rollout(ctx, "no")
		wantErr(t, err3, inventory.ErrNotFound)
		return errors.Join(err, err1, err2)
	})
	wantErr(t, s.Update(t.Context(), func(x inventory.Tx) error { return x.DeleteSchedule(t.Context(), "hourly") }), inventory.ErrNotFound)
}
