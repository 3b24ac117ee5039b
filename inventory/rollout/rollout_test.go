package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
	"ingot/inventory/lifecycle"
	"ingot/inventory/rollout"
	"ingot/inventory/sqlstore"
)

// world is some VMs that run the old version, in a real store with a real lifecycle, and a
// clock that the test moves.
type world struct {
	t     *testing.T
	store inventory.Store
	r     *rollout.Runner
	now   time.Time
}

func version(c string) inventory.Image {
	return inventory.Image{Name: "debian-12", Digest: "sha256:" + strings.Repeat(c, 64), SizeBytes: 1 << 30, FirstBoot: "cloud-init"}
}

var before, after = version("a"), version("b")

func newWorld(t *testing.T, names ...string) *world {
	t.Helper()
	store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ingot.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w := &world{t: t, store: store, now: time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	w.r = &rollout.Runner{Store: store, Orders: lifecycle.New(store, nil, clock, nil), Now: clock, Log: slog.New(slog.DiscardHandler)}
	w.update(func(ctx context.Context, x inventory.Tx) error {
		err := errors.Join(x.PutImage(ctx, before), x.PutImage(ctx, after), x.PutChannel(ctx, inventory.Channel{Name: "debian-12", Channel: "stable", Digest: after.Digest}))
		for _, name := range names {
			m := inventory.NewVM(name, inventory.VMSpec{Host: "kvm1", CPUs: 1, MemoryBytes: 1 << 30, DiskBytes: []int64{0}}, w.now)
			m.Spec.Image, m.Spec.ImageDigest, m.Spec.Generation = "debian-12", before.Digest, 1
			m.Spec.UserData = []byte("#cloud-config\n{}\n")
			m.Status.State, m.Status.ImageDigest = inventory.Deployed, before.Digest
			err = errors.Join(err, x.PutMachine(ctx, m))
		}
		return err
	})
	return w
}

func (w *world) update(f func(context.Context, inventory.Tx) error) {
	w.t.Helper()
	if err := w.store.Update(w.t.Context(), func(x inventory.Tx) error { return f(w.t.Context(), x) }); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) edit(name string, f func(*inventory.Machine)) {
	w.t.Helper()
	w.update(func(ctx context.Context, x inventory.Tx) error {
		m, err := x.Machine(ctx, name)
		if err != nil {
			return err
		}
		f(m)
		return x.PutMachine(ctx, m)
	})
}

func deployed(m *inventory.Machine) {
	m.Status.State, m.Status.Phase, m.Status.ImageDigest = inventory.Deployed, "", m.Spec.ImageDigest
}

func failed(m *inventory.Machine) {
	m.Status.Error = &inventory.Failure{Step: "write", Reason: "disk full", Permanent: true}
}

func (w *world) start(o rollout.Order) string {
	w.t.Helper()
	o.Image = "debian-12"
	r, err := w.r.Start(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	return r.ID
}

// step lets the clock go on and looks; the result is the state and each machine's step.
func (w *world) step(id string, d time.Duration) string {
	w.t.Helper()
	w.now = w.now.Add(d)
	if err := w.r.Step(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	var text string
	w.update(func(ctx context.Context, x inventory.Tx) error {
		r, err := x.Rollout(ctx, id)
		if err != nil {
			return err
		}
		text = string(r.State)
		for _, m := range r.Machines {
			text += fmt.Sprintf(" %s=%s", m.Name, m.Step)
		}
		return err
	})
	return text
}

func (w *world) want(id string, d time.Duration, want string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.step(id, d)); diff != "" {
		w.t.Fatalf("(-want +got):\n%s", diff)
	}
}

func TestBatches(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	id := w.start(rollout.Order{Batch: 2, Pause: time.Minute})
	w.want(id, 0, "running a=deploying b=deploying c=waiting")
	w.edit("a", func(m *inventory.Machine) {
		if m.Spec.ImageDigest != after.Digest || m.Spec.Image != "debian-12" || m.Spec.Generation != 2 {
			t.Errorf("ordered %+v", m.Spec)
		}
		deployed(m)
	})
	w.want(id, time.Hour, "running a=deployed b=deploying c=waiting")
	w.edit("b", deployed)
	w.want(id, time.Hour, "running a=deployed b=deployed c=waiting")
	w.want(id, 59*time.Second, "running a=deployed b=deployed c=waiting")
	w.want(id, time.Second, "running a=deployed b=deployed c=deploying")
	w.edit("c", deployed)
	w.want(id, time.Second, "done a=deployed b=deployed c=deployed")
	w.update(func(ctx context.Context, x inventory.Tx) error {
		m, err := x.Machine(ctx, "a")
		if err != nil {
			return err
		}
		data, err := x.UserData(ctx, m.ID)
		if err != nil {
			return err
		}
		if string(data) != "#cloud-config\n{}\n" {
			t.Errorf("user data is %q now", data)
		}
		events, err := x.Events(ctx, inventory.EventQuery{Kinds: []inventory.EventKind{inventory.EventRollout}})
		if len(events) != 2 || !strings.Contains(events[1].Text(), "is done: 3 machines have it, 0 failed, 0 were left out") {
			t.Errorf("events %v", events)
		}
		return err
	})
}

func TestFailures(t *testing.T) {
	w := newWorld(t, "a", "b", "c", "d")
	id := w.start(rollout.Order{Batch: 1, MaxFailures: 1})
	w.want(id, 0, "running a=deploying b=waiting c=waiting d=waiting")
	w.edit("a", failed)
	w.want(id, time.Second, "running a=failed b=deploying c=waiting d=waiting")
	w.edit("b", failed)
	w.want(id, time.Second, "stopped a=failed b=failed c=waiting d=waiting")
	w.want(id, time.Hour, "stopped a=failed b=failed c=waiting d=waiting")
}

// TestOrdersOfOthers: a machine that somebody took, removed or locked does not hold the
// rest up.
func TestOrdersOfOthers(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	id := w.start(rollout.Order{Batch: 2, MaxFailures: 1})
	w.want(id, 0, "running a=deploying b=deploying c=waiting")
	w.edit("a", func(m *inventory.Machine) { m.Spec.Generation++ })
	w.update(func(ctx context.Context, x inventory.Tx) error {
		m, err := x.Machine(ctx, "b")
		if err != nil {
			return err
		}
		return x.DeleteMachine(ctx, m.ID)
	})
	w.edit("c", func(m *inventory.Machine) { m.Status.Locked = true })
	w.want(id, time.Second, "running a=skipped b=skipped c=failed")
	w.want(id, time.Second, "done a=skipped b=skipped c=failed")
}

// TestRestart: a server that died after an order and before its record does not give it
// again.
func TestRestart(t *testing.T) {
	w := newWorld(t, "a")
	id := w.start(rollout.Order{Batch: 1})
	w.now = w.now.Add(time.Second)
	if _, err := w.r.Orders.Redeploy(t.Context(), "a", "debian-12", "rollout"); err != nil {
		t.Fatal(err)
	}
	w.want(id, time.Second, "running a=deploying")
	w.edit("a", func(m *inventory.Machine) {
		if m.Spec.Generation != 2 {
			t.Errorf("generation %d", m.Spec.Generation)
		}
	})
}

func TestChannelMoves(t *testing.T) {
	w := newWorld(t, "a", "b")
	id := w.start(rollout.Order{Batch: 1})
	w.want(id, 0, "running a=deploying b=waiting")
	w.edit("a", deployed)
	w.update(func(ctx context.Context, x inventory.Tx) error {
		return x.PutChannel(ctx, inventory.Channel{Name: "debian-12", Channel: "stable", Digest: before.Digest})
	})
	w.want(id, time.Second, "stopped a=deployed b=waiting")
}

func TestStart(t *testing.T) {
	w := newWorld(t, "web-1", "web-2", "db")
	w.edit("db", func(m *inventory.Machine) { m.Spec.Image = "rocky-9" })
	w.edit("web-2", func(m *inventory.Machine) { m.Status.ImageDigest = after.Digest })
	plan, err := w.r.Plan(t.Context(), rollout.Order{Image: "debian-12", Set: "*", Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range plan.Machines {
		got = append(got, fmt.Sprintf("%s %s %s", m.Name, m.Step, m.Problem))
	}
	want := []string{"db skipped it has rocky-9: deploy another image by hand", "web-1 waiting ", "web-2 skipped it has this version"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	id := w.start(rollout.Order{Set: "web-*", Batch: 1})
	for name, c := range map[string]struct {
		o     rollout.Order
		class error
	}{
		"twice":           {rollout.Order{Image: "debian-12", Batch: 1}, inventory.ErrConflict},
		"no image":        {rollout.Order{Image: "none", Batch: 1}, inventory.ErrNotFound},
		"no machine":      {rollout.Order{Image: "debian-12", Set: "x", Batch: 1}, inventory.ErrInvalid},
		"nothing to do":   {rollout.Order{Image: "debian-12", Set: "web-2", Batch: 1}, inventory.ErrInvalid},
		"no batch":        {rollout.Order{Image: "debian-12"}, inventory.ErrInvalid},
		"negative pause":  {rollout.Order{Image: "debian-12", Batch: 1, Pause: -1}, inventory.ErrInvalid},
		"what is no set":  {rollout.Order{Image: "debian-12", Batch: 1, Set: "colour=red"}, inventory.ErrInvalid},
		"negative limits": {rollout.Order{Image: "debian-12", Batch: 1, MaxFailures: -1}, inventory.ErrInvalid},
	} {
		if _, err := w.r.Start(t.Context(), c.o); !errors.Is(err, c.class) {
			t.Errorf("%s: %v", name, err)
		}
	}
	stopped, err := w.r.Stop(t.Context(), id, "me")
	if err != nil || stopped.State != inventory.RolloutStopped || stopped.Why != "stopped by me" {
		t.Errorf("%+v, %v", stopped, err)
	}
	if _, err := w.r.Stop(t.Context(), id, "me"); !errors.Is(err, inventory.ErrConflict) {
		t.Errorf("stopped twice: %v", err)
	}
}
