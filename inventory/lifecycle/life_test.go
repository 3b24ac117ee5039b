package lifecycle_test

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
		return errors.Join(x.PutMachine(ctx, m), x.PutImage(ctx, image), x.PutImage(ctx, silent),
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

func TestWholeLife(t *testing.T) {
	w := newWorld(t)
	w.want(inventory.Discovered, "")
	w.advance()
	w.want(inventory.Discovered, "")
	w.approve()
	w.want(inventory.Inspecting, inventory.PhaseInspect)
	w.pass(30 * time.Second)
	w.agentUp("boot-1")
	w.want(inventory.Ready, "")
	w.deploy(lifecycle.DeployOrder{UserData: []byte("#cloud-config\n{}\n"), By: "admin"})
	w.want(inventory.Deploying, inventory.PhaseWrite)
	w.pass(time.Second)
	w.report(true, nil)
	w.want(inventory.Deploying, inventory.PhaseReboot)
	w.pass(lifecycle.DefaultLimits.Silent)
	w.want(inventory.Deploying, inventory.PhaseFirstBoot)
	w.edit(func(m *inventory.Machine) {
		m.Status.PhoneHome = &inventory.PhoneHome{Generation: m.Spec.Generation, InstanceID: "i"}
	})
	w.want(inventory.Deployed, "")
	if m := w.machine(); m.Status.ImageDigest != image.Digest || m.Status.Agent != nil || m.Spec.Generation != 1 {
		t.Errorf("deployed machine: %+v", m)
	}
	if _, err := w.l.Release(t.Context(), "web", "admin"); err != nil {
		t.Fatal(err)
	}
	w.advance()
	w.want(inventory.Releasing, inventory.PhaseWipe)
	w.agentUp("boot-2")
	w.report(true, nil)
	w.want(inventory.Ready, "")
	if m := w.machine(); m.Status.ImageDigest != "" || m.Spec.Image != "" {
		t.Errorf("released machine: %+v", m)
	}
	want := []string{"order 0: approve", "discovered → inspecting (approve)", "inspecting → ready (inspected)",
		"order 1: deploy debian-12@sha256:abababababab", "ready → deploying (deploy)", "boot", "write", "reboot", "first-boot",
		"deploying → deployed (phone-home)", "phone-home from invalid IP", "order 2: release", "deployed → releasing (release)", "releasing → ready (wiped)"}
	if d := cmp.Diff(want, w.timeline()); d != "" {
		t.Errorf("timeline (-want +got):\n%s", d)
	}
}

// TestRetries: the pause between attempts doubles, the tries are counted, and the last
// failure stands until a new order.
func TestRetries(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.deploy(lifecycle.DeployOrder{})
	pause := w.l.Limits.Retry
	for try := 1; try < w.l.Limits.Tries; try++ {
		w.report(false, &inventory.Failure{Step: "write", Reason: "no route"})
		if e := w.machine().Status.Error; e == nil || e.Permanent {
			t.Fatalf("try %d: error %+v, want one that is tried again", try, e)
		}
		w.pass(pause - time.Second)
		if w.machine().Status.Report == nil {
			t.Fatalf("try %d was begun before the pause was over", try)
		}
		w.beat()
		w.pass(time.Second)
		if s := w.machine().Status; s.Report != nil || s.Tries != try || s.Error != nil {
			t.Fatalf("try %d after the pause: %+v", try, s)
		}
		w.beat()
		pause *= 2
	}
	w.report(false, &inventory.Failure{Step: "write", Reason: "no route"})
	if e := w.machine().Status.Error; e == nil || !e.Permanent || !strings.Contains(e.Try, "5 times") {
		t.Errorf("after the last try: %+v", e)
	}
	w.pass(time.Hour)
	w.want(inventory.Deploying, inventory.PhaseWrite)
	w.agentUp("boot-2")
	w.deploy(lifecycle.DeployOrder{})
	if s := w.machine().Status; s.Error != nil || s.Tries != 0 || s.Phase != inventory.PhaseWrite {
		t.Errorf("after a new order: %+v", s)
	}
}

func TestPermanentFailureIsNotRetried(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.deploy(lifecycle.DeployOrder{})
	w.report(false, &inventory.Failure{Step: "write", Reason: "foreign data", Permanent: true})
	w.pass(time.Hour)
	if s := w.machine().Status; s.Report == nil || s.Error == nil || s.Phase != inventory.PhaseWrite {
		t.Errorf("after an hour: %+v", s)
	}
	if n := strings.Count(strings.Join(w.timeline(), "\n"), "foreign data"); n != 1 {
		t.Errorf("the failure was told %d times, want once", n)
	}
}

// TestPowerCut: the agent vanishes in the middle of the write; when the machine boots
// again the order goes on by itself.
func TestPowerCut(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.deploy(lifecycle.DeployOrder{})
	w.edit(func(m *inventory.Machine) {
		m.Status.Agent.LastLog = "writing sda"
		m.Status.Progress = &inventory.Progress{Step: "write", Bytes: 43, TotalBytes: 100}
	})
	w.pass(w.l.Limits.Silent)
	w.want(inventory.Deploying, inventory.PhaseBoot)
	if got := w.timeline(); !strings.Contains(strings.Join(got, "\n"), "agent fell silent; its last log line: writing sda") {
		t.Errorf("timeline: %q", got)
	}
	w.pass(time.Minute)
	w.agentUp("boot-2")
	w.want(inventory.Deploying, inventory.PhaseWrite)
	w.report(true, nil)
	w.want(inventory.Deploying, inventory.PhaseReboot)
}

func TestOverdueAndRecovered(t *testing.T) {
	w := newWorld(t)
	w.approve()
	w.pass(w.l.Limits.Boot)
	e := w.machine().Status.Error
	if e == nil || e.Step != "inspect" || e.Try == "" || e.Permanent {
		t.Fatalf("error = %+v", e)
	}
	w.pass(time.Hour)
	w.agentUp("boot-1")
	w.want(inventory.Ready, "")
	if e := w.machine().Status.Error; e != nil {
		t.Errorf("error stands after recovery: %+v", e)
	}
	want := []string{"order 0: approve", "discovered → inspecting (approve)", "inspect failed: the machine has not booted the agent",
		"inspect goes on", "inspecting → ready (inspected)"}
	if d := cmp.Diff(want, w.timeline()); d != "" {
		t.Errorf("timeline (-want +got):\n%s", d)
	}
}

// TestHoldAll: after a restored backup nothing is written until a person looked.
func TestHoldAll(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.deploy(lifecycle.DeployOrder{})
	w.update(func(ctx context.Context, x inventory.Tx) error {
		return lifecycle.HoldAll(ctx, x, w.l, "restored from a backup")
	})
	w.report(true, nil)
	w.want(inventory.Deploying, inventory.PhaseWrite)
	_, err := w.l.Deploy(t.Context(), "web", lifecycle.DeployOrder{Image: "debian-12"})
	if !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "restored from a backup") {
		t.Errorf("deploy on hold: %v", err)
	}
	if _, err := w.l.Resume(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	w.advance()
	w.want(inventory.Deploying, inventory.PhaseReboot)
}

func TestConflictStopsEverything(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.edit(func(m *inventory.Machine) { m.Status.Conflict = "UUID a against b" })
	for name, order := range map[string]func() error{
		"deploy": func() error {
			_, err := w.l.Deploy(t.Context(), "web", lifecycle.DeployOrder{Image: "debian-12"})
			return err
		},
		"release": func() error { _, err := w.l.Release(t.Context(), "web", "admin"); return err },
	} {
		if err := order(); !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "UUID a against b") {
			t.Errorf("%s in a conflict: %v", name, err)
		}
	}
}

func TestLockedMachine(t *testing.T) {
	w := newWorld(t)
	w.ready()
	if _, err := w.l.SetLock(t.Context(), "web", true); err != nil {
		t.Fatal(err)
	}
	for name, order := range map[string]func() error{
		"deploy": func() error {
			_, err := w.l.Deploy(t.Context(), "web", lifecycle.DeployOrder{Image: "debian-12"})
			return err
		},
		"release": func() error { _, err := w.l.Release(t.Context(), "web", "admin"); return err },
		"retire":  func() error { _, err := w.l.Trigger(t.Context(), "web", inventory.TriggerRetire, "admin"); return err },
		"delete":  func() error { return w.l.Delete(t.Context(), "web") },
	} {
		if err := order(); !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "locked") {
			t.Errorf("%s of a locked machine: %v", name, err)
		}
	}
}

// TestDeployIsCheckedBeforeAnythingChanges holds orders against facts and catalog.
func TestDeployIsCheckedBeforeAnythingChanges(t *testing.T) {
	for _, c := range []struct {
		name  string
		order lifecycle.DeployOrder
		spoil func(*inventory.Facts)
		class error
		text  string
	}{
		{"no such image", lifecycle.DeployOrder{Image: "debian-13"}, nil, inventory.ErrNotFound, "debian-13:stable"},
		{"no such channel", lifecycle.DeployOrder{Image: "debian-12:nightly"}, nil, inventory.ErrNotFound, "debian-12:nightly"},
		{"no such digest", lifecycle.DeployOrder{Image: "debian-12@sha256:000000000000"}, nil, inventory.ErrNotFound, "000000000000"},
		{"bad reference", lifecycle.DeployOrder{Image: "Debian 12"}, nil, inventory.ErrInvalid, "Debian 12"},
		{"two disks", lifecycle.DeployOrder{Image: "debian-12"}, nil, inventory.ErrInvalid, "2 disks fit"},
		{"no disk fits", lifecycle.DeployOrder{Image: "debian-12", Disk: inventory.DiskHint{Serial: "nope"}}, nil, inventory.ErrInvalid, "no disk fits serial=nope"},
		{"4096-byte sectors", lifecycle.DeployOrder{Image: "debian-12", Disk: inventory.DiskHint{Name: "sdb"}}, nil, inventory.ErrInvalid, "4096-byte sectors"},
		{"too small", lifecycle.DeployOrder{Image: "debian-12", Disk: inventory.DiskHint{Name: "sda"}},
			func(f *inventory.Facts) { f.Disks[0].SizeBytes = image.SizeBytes + lifecycle.SeedRoomBytes - 1 }, inventory.ErrInvalid, "needs 2.01 GB"},
		{"Secure Boot", lifecycle.DeployOrder{Image: "debian-12", Disk: inventory.DiskHint{Name: "sda"}},
			func(f *inventory.Facts) { f.Firmware.SecureBoot = inventory.SecureBootOn }, inventory.ErrInvalid, "boots by secureboot"},
		{"address of a NIC that is not there", lifecycle.DeployOrder{Image: "debian-12", Disk: inventory.DiskHint{Name: "sda"},
			Addresses: []inventory.StaticAddress{{MAC: "02:00:00:00:00:99", Prefix: netip.MustParsePrefix("192.0.2.9/24")}}}, nil, inventory.ErrInvalid, "02:00:00:00:00:99"},
		{"user data that cloud-init ignores", lifecycle.DeployOrder{Image: "debian-12", UserData: []byte("hello")}, nil, inventory.ErrInvalid, "user data begins"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.ready()
			if c.spoil != nil {
				w.update(func(ctx context.Context, x inventory.Tx) error {
					f, err := x.Facts(ctx, w.id, 0)
					if err != nil {
						return err
					}
					c.spoil(f)
					_, err = x.AddFacts(ctx, w.id, f)
					return err
				})
			}
			before := w.machine()
			_, err := w.l.Deploy(t.Context(), "web", c.order)
			if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("deploy: %v, want %v with %q", err, c.class, c.text)
			}
			if after := w.machine(); after.Revision != before.Revision || after.Spec.Generation != 0 {
				t.Errorf("the refused order changed the machine: %+v", after.Spec)
			}
		})
	}
}

func TestDeployNeedsApproval(t *testing.T) {
	w := newWorld(t)
	_, err := w.l.Deploy(t.Context(), "web", lifecycle.DeployOrder{Image: "debian-12"})
	if !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "not approved") {
		t.Errorf("deploy: %v", err)
	}
}

// TestExecutorFails: what can't be begun is a failure beside the state, told once, and
// begun again when it can.
func TestExecutorFails(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.exec.err = errors.New("BMC does not answer")
	w.deploy(lifecycle.DeployOrder{})
	w.pass(time.Second)
	w.want(inventory.Deploying, inventory.PhasePrepare)
	before := w.machine().Revision
	w.pass(time.Second)
	if now := w.machine().Revision; now != before {
		t.Errorf("the machine was written %d times while its failure stood", now-before)
	}
	if n := strings.Count(strings.Join(w.timeline(), "\n"), "boot failed: BMC does not answer"); n != 1 {
		t.Errorf("the failure was told %d times, want once", n)
	}
	w.exec.err = inventory.ErrUnsupported
	w.beat()
	w.want(inventory.Deploying, inventory.PhaseWrite)
}

// TestRunWakes: an order is taken up at once and not at the next look, and Run ends with
// its context.
func TestRunWakes(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.l.Run(ctx) }()
	seen := make(chan struct{})
	go func() {
		_ = w.store.Follow(ctx, 0, func(e inventory.Event) error { // ends with ctx
			if e.Text() == "discovered → inspecting (approve)" {
				close(seen)
			}
			return nil
		})
	}()
	if _, err := w.l.Approve(ctx, "web", "admin"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-seen:
	case <-time.After(10 * time.Second):
		t.Error("the approval was not taken up")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestDeleteKeepsTheEvents(t *testing.T) {
	w := newWorld(t)
	w.ready()
	if err := w.l.Delete(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	w.advance() // a machine that is gone has nothing to do
	tl := w.timeline()
	if tl[len(tl)-1] != "deleted from the inventory" {
		t.Errorf("timeline: %q", tl)
	}
}

// TestClaimWindow: an order that no agent takes in time waits for a new one; an order
// that was taken goes on however long it lasts.
func TestClaimWindow(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.edit(func(m *inventory.Machine) { m.Status.Agent = nil })
	w.deploy(lifecycle.DeployOrder{})
	w.pass(w.l.Limits.Claim + time.Second)
	if e := w.machine().Status.Error; e == nil || !e.Permanent || !strings.Contains(e.Reason, "no agent of this machine took the order within") {
		t.Fatalf("error = %+v", e)
	}
	w.agentUp("boot-2")
	w.want(inventory.Deploying, inventory.PhaseBoot)
	w.deploy(lifecycle.DeployOrder{})
	w.edit(func(m *inventory.Machine) {
		m.Status.Claim = &inventory.Claim{Generation: m.Spec.Generation, Boot: "boot-2", At: w.now}
	})
	w.now = w.now.Add(w.l.Limits.Claim + time.Hour)
	w.beat()
	w.report(true, nil)
	w.want(inventory.Deploying, inventory.PhaseReboot)
}

// TestVMOrders: what is for metal is refused to VMs, and one that a host has is not
// forgotten by accident.
func TestVMOrders(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.update(func(ctx context.Context, x inventory.Tx) error {
		return x.PutHost(ctx, inventory.Host{Name: "vc1", URL: "vsphere://me@vc1/dc"})
	})
	w.l.Executors[inventory.KindVM] = w.exec
	vm := inventory.NewVM("db", inventory.VMSpec{Host: "vc1", CPUs: 1, MemoryBytes: 1 << 30, DiskBytes: []int64{0}}, w.now)
	if err := w.l.Create(ctx, vm, lifecycle.DeployOrder{Image: image.Name}); err != nil {
		t.Fatal(err)
	}
	for _, trigger := range []inventory.Trigger{inventory.TriggerInspect, inventory.TriggerRescue, inventory.TriggerReturn, inventory.TriggerRetire, inventory.TriggerRevive} {
		if _, err := w.l.Trigger(ctx, "db", trigger, "me"); !errors.Is(err, inventory.ErrUnsupported) {
			t.Errorf("%s: %v, want ErrUnsupported", trigger, err)
		}
	}
	if err := w.l.Delete(ctx, "db"); !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "ingot vm delete db") {
		t.Errorf("delete what is being made: %v", err)
	}
	if _, err := w.l.Remove(ctx, "db", "me"); err != nil {
		t.Fatal(err)
	}
	if err := w.l.Delete(ctx, "db"); !errors.Is(err, inventory.ErrBusy) {
		t.Errorf("delete while its host is being told: %v", err)
	}
	w.update(func(ctx context.Context, x inventory.Tx) error {
		m, err := x.Machine(ctx, "db")
		if err != nil {
			return err
		}
		m.Status.Error = &inventory.Failure{Step: "wipe", Reason: "the host does not answer"}
		return x.PutMachine(ctx, m)
	})
	if err := w.l.Delete(ctx, "db"); err != nil {
		t.Errorf("delete after its host did not answer: %v", err)
	}
}
