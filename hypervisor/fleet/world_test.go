package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ingot/hypervisor"
	"ingot/hypervisor/drivertest"
	"ingot/hypervisor/fleet"
	"ingot/inventory"
	"ingot/inventory/lifecycle"
	"ingot/inventory/sqlstore"
)

var goldenData = []byte(strings.Repeat("golden", 1000))

var golden = inventory.Image{Name: "debian-12", Digest: "sha256:" + strings.Repeat("ab", 32), SizeBytes: 64 << 20, LogicalSectorBytes: 512,
	BootModes: []string{"bios", "uefi"}, FirstBoot: "cloud-init"}

func goldenImage(_ context.Context, i inventory.Image) (hypervisor.Image, error) {
	return hypervisor.Image{Digest: i.Digest, Name: i.Name, SizeBytes: i.SizeBytes, BootModes: i.BootModes,
		Open: func(context.Context, hypervisor.Format) (hypervisor.Artefact, error) {
			return drivertest.Artefact(goldenData), nil
		}}, nil
}

// world is an inventory with hosts in memory, and what works on it.
type world struct {
	t     *testing.T
	store inventory.Store
	life  *lifecycle.Lifecycle
	fleet *fleet.Fleet
	hosts map[string]*memoryHost
	// secrets are what hosts were opened with.
	mu      sync.Mutex
	secrets map[string]string
	// opened counts connections by host, listens what Listen was asked for.
	opened, listens map[string]int
	// diagnosed is the error of a diagnosis.
	diagnosed error
	stop      func()
}

func newWorld(t *testing.T, hosts ...string) *world {
	t.Helper()
	store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ingot.db"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: store, hosts: map[string]*memoryHost{}, secrets: map[string]string{}, opened: map[string]int{}, listens: map[string]int{}}
	w.update(func(ctx context.Context, x inventory.Tx) error {
		err := errors.Join(x.PutImage(ctx, golden), x.PutChannel(ctx, inventory.Channel{Name: golden.Name, Channel: "stable", Digest: golden.Digest}))
		for _, name := range hosts {
			w.hosts[name] = newMemoryHost()
			err = errors.Join(err, x.PutHost(ctx, inventory.Host{Name: name, URL: "qemu+ssh://" + name + "/system"}), x.PutHostSecret(ctx, name, []byte("sealed")))
		}
		return err
	})
	w.start()
	t.Cleanup(func() {
		w.stop()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// start runs lifecycle and fleet, as a server does; stop ends them.
func (w *world) start() {
	ctx, cancel := context.WithCancel(context.Background())
	f := fleet.New(fleet.Config{Store: w.store, Now: time.Now, Image: goldenImage,
		Open: func(_ context.Context, h inventory.Host, secret []byte) (hypervisor.Driver, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.secrets[h.Name] = string(secret)
			w.opened[h.Name]++
			if string(secret) == "unwrong of "+h.Name {
				return nil, fmt.Errorf("log in: %w", inventory.ErrDenied)
			}
			return &memoryDriver{w.hosts[h.Name], "here"}, nil
		},
		Diagnose: func(ctx context.Context, h inventory.Host, secret []byte) ([]hypervisor.Finding, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.secrets[h.Name] = string(secret)
			return []hypervisor.Finding{{What: "reach", Level: hypervisor.Failed, Detail: "nobody answers at " + h.URL}}, w.diagnosed
		},
		Unseal: func(host string, sealed []byte) ([]byte, error) {
			if string(sealed) == "spoilt" {
				return nil, errors.New("not sealed with this key")
			}
			return []byte("un" + string(sealed) + " of " + host), nil
		},
		Seed: func(_ context.Context, m *inventory.Machine, _ inventory.Host, _ hypervisor.Driver) ([]byte, error) {
			return []byte("seed of " + m.Name), nil
		},
		Listen: func(_ context.Context, m *inventory.Machine, h inventory.Host, _ hypervisor.Driver) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.listens[m.Name+" on "+h.Name]++
			return nil
		},
		Woken: func() { w.life.Wake() },
	})
	w.fleet = f
	w.life = lifecycle.New(w.store, map[inventory.Kind]lifecycle.Executor{inventory.KindVM: f}, time.Now, nil)
	w.life.Limits.Retry = time.Millisecond
	var under sync.WaitGroup
	for _, run := range []func(context.Context) error{w.life.Run, f.Run} {
		under.Go(func() {
			if err := run(ctx); err != nil {
				w.t.Error(err)
			}
		})
	}
	w.stop = func() { cancel(); under.Wait() }
}

func (w *world) update(f func(context.Context, inventory.Tx) error) {
	w.t.Helper()
	if err := w.store.Update(w.t.Context(), func(x inventory.Tx) error { return f(w.t.Context(), x) }); err != nil {
		w.t.Fatal(err)
	}
}

// create orders a machine onto a host.
func (w *world) create(name, host string, memoryBytes int64) {
	w.t.Helper()
	m := inventory.NewVM(name, inventory.VMSpec{Host: host, CPUs: 1, MemoryBytes: memoryBytes, DiskBytes: []int64{0}, NICs: make([]inventory.VMNIC, 1)}, time.Now())
	if err := w.life.Create(w.t.Context(), m, lifecycle.DeployOrder{Image: golden.Name}); err != nil {
		w.t.Fatal(err)
	}
}

// until waits for an event after which ok holds of the machine; nil when it is gone.
func (w *world) until(name string, ok func(*inventory.Machine) bool) *inventory.Machine {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	var m *inventory.Machine
	found := errors.New("found")
	err := w.store.Follow(ctx, 0, func(inventory.Event) error {
		err := w.store.View(ctx, func(x inventory.Tx) (err error) { m, err = x.Machine(ctx, name); return err })
		if errors.Is(err, inventory.ErrNotFound) {
			m, err = nil, nil
		}
		if err == nil && ok(m) {
			return found
		}
		return err
	})
	if !errors.Is(err, found) {
		w.t.Fatalf("%s never got there: %v; it is %+v", name, err, m)
	}
	return m
}

// phoneHome is the installed system's first word.
func (w *world) phoneHome(name string) {
	w.t.Helper()
	w.update(func(ctx context.Context, x inventory.Tx) error {
		m, err := x.Machine(ctx, name)
		if err != nil {
			return err
		}
		m.Status.PhoneHome = &inventory.PhoneHome{Generation: m.Spec.Generation}
		return x.PutMachine(ctx, m)
	})
	w.life.Wake()
}

func phase(p inventory.Phase) func(*inventory.Machine) bool {
	return func(m *inventory.Machine) bool { return m != nil && m.Status.Phase == p }
}

func state(s inventory.State) func(*inventory.Machine) bool {
	return func(m *inventory.Machine) bool { return m != nil && m.Status.State == s }
}

// plan asks a host for something harmless.
func (w *world) plan(host string) {
	m := inventory.NewVM("plan", inventory.VMSpec{Host: host, CPUs: 1, MemoryBytes: 1 << 30, DiskBytes: []int64{0}, NICs: make([]inventory.VMNIC, 1)}, time.Now())
	if _, _, err := w.fleet.Plan(w.t.Context(), m, golden); err != nil {
		w.t.Error(err)
	}
}

func (w *world) placed(id string) (text string) {
	w.t.Helper()
	if err := w.store.View(w.t.Context(), func(x inventory.Tx) error {
		es, err := x.Events(w.t.Context(), inventory.EventQuery{Machine: id, Kinds: []inventory.EventKind{inventory.EventPlaced}})
		for _, e := range es {
			text = e.Text()
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return text
}
