package lifecycle_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/inventory"
	"ingot/inventory/lifecycle"
	"ingot/inventory/sqlstore"
)

// world is one machine in a real store, a lifecycle, and a clock that the test moves.
type world struct {
	t     *testing.T
	store inventory.Store
	l     *lifecycle.Lifecycle
	now   time.Time
	id    string
	exec  *executor
}

// executor says what it was asked to begin, and fails when told to.
type executor struct {
	begun []string
	err   error
}

func (e *executor) Begin(_ context.Context, _ *inventory.Machine, p inventory.Phase) (string, error) {
	e.begun = append(e.begun, string(p))
	return "", e.err
}

// wide is made for disks with other sectors.
var wide = inventory.Image{Name: "wide", Digest: "sha256:" + strings.Repeat("ef", 32), SizeBytes: 2e9, LogicalSectorBytes: 4096}

var image = inventory.Image{Name: "debian-12", Digest: "sha256:" + strings.Repeat("ab", 32), SizeBytes: 2e9, LogicalSectorBytes: 512,
	BootModes: []string{"bios", "uefi"}, FirstBoot: "cloud-init"}

func newWorld(t *testing.T) *world {
	t.Helper()
	store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ingot.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, store: store, now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), exec: &executor{}}
	w.l = lifecycle.New(store, map[inventory.Kind]lifecycle.Executor{inventory.KindMetal: w.exec}, func() time.Time { return w.now }, nil)
	m := inventory.NewMachine("52:54:00:00:00:01", w.now)
	m.Name = "web"
	w.id = m.ID
	w.update(func(ctx context.Context, x inventory.Tx) error {
		silent := image
		silent.Name, silent.Digest, silent.FirstBoot = "windows", "sha256:"+strings.Repeat("cd", 32), "none"
		return errors.Join(x.PutMachine(ctx, m), x.PutImage(ctx, image), x.PutImage(ctx, wide), x.PutImage(ctx, silent),
			x.PutChannel(ctx, inventory.Channel{Name: image.Name, Channel: "stable", Digest: image.Digest}),
			x.PutChannel(ctx, inventory.Channel{Name: silent.Name, Channel: "stable", Digest: silent.Digest}))
	})
	return w
}

func (w *world) update(f func(context.Context, inventory.Tx) error) {
	w.t.Helper()
	ctx := w.t.Context()
	if err := w.store.Update(ctx, func(x inventory.Tx) error { return f(ctx, x) }); err != nil {
		w.t.Fatal(err)
	}
}

// edit changes the machine as the protocols do, then lets lifecycle look.
func (w *world) edit(f func(*inventory.Machine)) {
	w.t.Helper()
	w.update(func(ctx context.Context, x inventory.Tx) error {
		m, err := x.Machine(ctx, w.id)
		if err != nil {
			return err
		}
		f(m)
		return x.PutMachine(ctx, m)
	})
	w.advance()
}

func (w *world) advance() {
	w.t.Helper()
	if err := w.l.Advance(w.t.Context(), w.id); err != nil {
		w.t.Fatal(err)
	}
}

// pass moves the clock and lets lifecycle look.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.now = w.now.Add(d)
	w.advance()
}

func (w *world) machine() *inventory.Machine {
	w.t.Helper()
	var m *inventory.Machine
	if err := w.store.View(w.t.Context(), func(x inventory.Tx) error {
		var err error
		m, err = x.Machine(w.t.Context(), w.id)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) want(state inventory.State, phase inventory.Phase) {
	w.t.Helper()
	if s := w.machine().Status; s.State != state || s.Phase != phase {
		w.t.Fatalf("machine is %s/%s, want %s/%s (error %+v)", s.State, s.Phase, state, phase, s.Error)
	}
}

func (w *world) timeline() []string {
	w.t.Helper()
	var out []string
	if err := w.store.View(w.t.Context(), func(x inventory.Tx) error {
		es, err := x.Events(w.t.Context(), inventory.EventQuery{Machine: w.id})
		for _, e := range es {
			out = append(out, e.Text())
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// agentUp is what the agent's API does at hello and facts.
func (w *world) agentUp(boot string) {
	w.t.Helper()
	w.update(func(ctx context.Context, x inventory.Tx) error {
		_, err := x.AddFacts(ctx, w.id, &inventory.Facts{Firmware: inventory.Firmware{Mode: inventory.FirmwareUEFI},
			Disks: []inventory.Disk{{Name: "sda", SizeBytes: 8e9, LogicalSectorBytes: 512}, {Name: "sdb", SizeBytes: 1e9, LogicalSectorBytes: 4096}}})
		return err
	})
	w.edit(func(m *inventory.Machine) {
		m.Status.Agent = &inventory.AgentSession{Boot: boot, Since: w.now, FactsAt: w.now}
		m.Status.Beat = w.now
	})
}

func (w *world) beat() {
	w.t.Helper()
	w.edit(func(m *inventory.Machine) { m.Status.Beat = w.now })
}

func (w *world) report(ok bool, f *inventory.Failure) {
	w.t.Helper()
	w.edit(func(m *inventory.Machine) {
		m.Status.Beat = w.now
		m.Status.Report = &inventory.Report{Generation: m.Spec.Generation, OK: ok, Failure: f, At: w.now}
	})
}

func (w *world) approve() {
	w.t.Helper()
	if _, err := w.l.Approve(w.t.Context(), "web", "admin"); err != nil {
		w.t.Fatal(err)
	}
	w.advance()
}

func (w *world) deploy(o lifecycle.DeployOrder) {
	w.t.Helper()
	if o.Image == "" {
		o.Image = "debian-12"
	}
	if o.Disk == (inventory.DiskHint{}) {
		o.Disk.Name = "sda"
	}
	if _, err := w.l.Deploy(w.t.Context(), "web", o); err != nil {
		w.t.Fatal(err)
	}
	w.advance()
}

// ready brings the machine to the start of a deploy.
func (w *world) ready() {
	w.t.Helper()
	w.approve()
	w.agentUp("boot-1")
	w.want(inventory.Ready, "")
}
