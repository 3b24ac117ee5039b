package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
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

// TestMemoryHost holds the tests' own host to the contract, and the contract to a host
// without tricks.
func TestMemoryHost(t *testing.T) {
	h := newMemoryHost()
	image, _ := goldenImage(t.Context(), golden)
	drivertest.Run(t, drivertest.Harness{
		New:   func(_ *testing.T, owner string) hypervisor.Driver { return &memoryDriver{h, owner} },
		Image: image,
		Left: func(*testing.T) []string {
			return append(slices.Sorted(maps.Keys(h.images)), slices.Sorted(maps.Keys(h.vms))...)
		},
		Vanish: func(_ *testing.T, vm hypervisor.VM) { delete(h.vms, vm.UUID) },
		Fail: func(_ *testing.T, n int) func() bool {
			h.failAt, h.failure = h.calls+n, errors.New("injected")
			return func() bool {
				hit := h.calls >= h.failAt
				h.failAt = 0
				return hit
			}
		},
	})
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

// TestAddresses: hosts and our own leases are asked; the best source is believed, and an
// address that is known and still there stays.
func TestAddresses(t *testing.T) {
	w := newWorld(t, "kvm1")
	w.create("web", "kvm1", 1<<30)
	m := w.until("web", phase(inventory.PhaseFirstBoot))
	h := w.hosts["kvm1"]
	ip := netip.MustParseAddr
	for _, step := range []struct {
		has    []hypervisor.Address
		want   string
		source string
	}{
		{nil, "198.51.100.7", "ingot lease"},
		{[]hypervisor.Address{{IP: ip("fe80::1"), Source: hypervisor.FromAgent}, {IP: ip("192.0.2.9"), Source: hypervisor.FromARP}}, "198.51.100.7", "ingot lease"},
		{[]hypervisor.Address{{IP: ip("2001:db8::1"), Source: hypervisor.FromAgent}, {IP: ip("192.0.2.9"), Source: hypervisor.FromLease}}, "192.0.2.9", "hypervisor lease"},
		{[]hypervisor.Address{{IP: ip("192.0.2.8"), Source: hypervisor.FromAgent}, {IP: ip("192.0.2.9"), Source: hypervisor.FromLease}}, "192.0.2.9", "hypervisor lease"},
		{[]hypervisor.Address{{IP: ip("192.0.2.8"), Source: hypervisor.FromAgent}}, "192.0.2.8", "guest agent"},
	} {
		h.mu.Lock()
		h.vms[m.Status.VM.UUID].vm.NICs[0].Addresses = step.has
		h.mu.Unlock()
		w.update(func(ctx context.Context, x inventory.Tx) error {
			if step.want != "198.51.100.7" {
				return x.PutAddress(ctx, inventory.Address{IP: ip("198.51.100.7"), Use: inventory.AddressLeased, MAC: m.Identity.MACs[0], Updated: time.Now().Add(-2 * time.Hour), Expires: time.Now().Add(-time.Hour)})
			}
			return x.PutAddress(ctx, inventory.Address{IP: ip("198.51.100.7"), Use: inventory.AddressLeased, MAC: m.Identity.MACs[0], Updated: time.Now(), Expires: time.Now().Add(time.Hour)})
		})
		if err := w.fleet.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.update(func(ctx context.Context, x inventory.Tx) (err error) { m, err = x.Machine(ctx, "web"); return err })
		if m.Status.Address.String() != step.want || m.Status.AddressSource != step.source {
			t.Errorf("%v: address %s by %q, want %s by %q", step.has, m.Status.Address, m.Status.AddressSource, step.want, step.source)
		}
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

func TestLife(t *testing.T) {
	w := newWorld(t, "kvm1")
	w.create("web", inventory.AnyHost, 1<<30)
	m := w.until("web", phase(inventory.PhaseFirstBoot))
	uuid := hypervisor.UUID("here", m.ID)
	vm := w.hosts["kvm1"].vms[uuid]
	if vm == nil || vm.vm.Power != hypervisor.On || m.Spec.VM.Host != "kvm1" || m.Status.VM == nil || m.Status.VM.UUID != uuid || vm.vm.NICs[0].MAC != m.Identity.MACs[0] {
		t.Fatalf("host has %+v, inventory %+v", vm, m)
	}
	if w.secrets["kvm1"] != "unsealed of kvm1" {
		t.Errorf("opened with %q", w.secrets["kvm1"])
	}
	w.phoneHome("web")
	w.until("web", state(inventory.Deployed))
	if _, err := w.life.Deploy(t.Context(), "web", lifecycle.DeployOrder{Image: golden.Name}); err != nil {
		t.Fatal(err)
	}
	w.until("web", func(m *inventory.Machine) bool {
		return phase(inventory.PhaseFirstBoot)(m) && m.Status.VM != nil && m.Status.VM.Generation == 2
	})
	if w.hosts["kvm1"].sent != 1 {
		t.Errorf("the image was sent %d times", w.hosts["kvm1"].sent)
	}
	if _, err := w.life.Remove(t.Context(), "web", "test"); err != nil {
		t.Fatal(err)
	}
	w.until("web", func(m *inventory.Machine) bool { return m == nil })
	if left := w.hosts["kvm1"].vms; len(left) > 0 {
		t.Errorf("left at the host: %v", left)
	}
}

// TestFailures: what may pass is tried again, what can't stands with advice.
func TestFailures(t *testing.T) {
	w := newWorld(t, "kvm1")
	h := w.hosts["kvm1"]
	h.failAt, h.failure = 2, errors.New("disk on fire")
	w.create("web", "kvm1", 1<<30)
	w.until("web", phase(inventory.PhaseFirstBoot))
	failed := 0
	if err := w.store.View(t.Context(), func(x inventory.Tx) error {
		es, err := x.Events(t.Context(), inventory.EventQuery{Kinds: []inventory.EventKind{inventory.EventFailed}})
		for _, e := range es {
			if strings.Contains(e.Text(), "create failed: disk on fire") {
				failed++
			}
		}
		return err
	}); err != nil || failed != 1 {
		t.Errorf("%d events of the failure, %v", failed, err)
	}
	h.mu.Lock()
	h.failAt, h.failure = h.calls+1, fmt.Errorf("no right to make machines: %w", inventory.ErrDenied)
	h.mu.Unlock()
	w.create("denied", "kvm1", 1<<30)
	m := w.until("denied", func(m *inventory.Machine) bool { return m != nil && m.Status.Error != nil })
	if e := m.Status.Error; !e.Permanent || !strings.Contains(e.Reason, "no right") || !strings.Contains(e.Try, "ingot host check kvm1") {
		t.Errorf("failure %+v", e)
	}
}

// TestKilled: a server that dies while an image is on its way is followed by one that
// finishes, with one machine.
func TestKilled(t *testing.T) {
	w := newWorld(t, "kvm1")
	w.hosts["kvm1"].hold = make(chan struct{})
	w.create("web", inventory.AnyHost, 1<<30)
	w.until("web", phase(inventory.PhaseBoot))
	w.stop()
	close(w.hosts["kvm1"].hold)
	w.start()
	w.until("web", phase(inventory.PhaseFirstBoot))
	if n := len(w.hosts["kvm1"].vms); n != 1 {
		t.Errorf("%d machines at the host, want 1", n)
	}
	if err := w.fleet.Refresh(t.Context()); err != nil || w.listens["web on kvm1"] == 0 {
		t.Errorf("nobody listens for its phone-home: %v, %v", w.listens, err)
	}
}

// TestMetOnce: however many ask at once, a host is connected to once; and anew when its
// address or its secret changes, but not for what does not matter to the connection.
func TestMetOnce(t *testing.T) {
	w := newWorld(t, "kvm1")
	for i, step := range []struct {
		change func(context.Context, inventory.Tx) error
		want   int
	}{
		{func(context.Context, inventory.Tx) error { return nil }, 1},
		{func(ctx context.Context, x inventory.Tx) error {
			return x.PutHost(ctx, inventory.Host{Name: "kvm1", URL: "qemu+ssh://kvm1/system", Network: "br0"})
		}, 1},
		{func(ctx context.Context, x inventory.Tx) error {
			return x.PutHost(ctx, inventory.Host{Name: "kvm1", URL: "qemu+ssh://elsewhere/system", Network: "br0"})
		}, 2},
		{func(ctx context.Context, x inventory.Tx) error {
			return x.PutHostSecret(ctx, "kvm1", []byte("sealed anew"))
		}, 3},
	} {
		w.update(step.change)
		var asking sync.WaitGroup
		for range 20 {
			asking.Go(func() { w.plan("kvm1") })
		}
		asking.Wait()
		if w.opened["kvm1"] != step.want {
			t.Errorf("step %d: connected %d times, want %d", i, w.opened["kvm1"], step.want)
		}
	}
	w.create("web", "kvm1", 1<<30)
	m := w.until("web", phase(inventory.PhaseFirstBoot))
	if got := w.hosts["kvm1"].vms[m.Status.VM.UUID].vm.NICs[0].Network; got != "br0" {
		t.Errorf("its NIC is on %q, want the network that the host was given later", got)
	}
}

// plan asks a host for something harmless.
func (w *world) plan(host string) {
	m := inventory.NewVM("plan", inventory.VMSpec{Host: host, CPUs: 1, MemoryBytes: 1 << 30, DiskBytes: []int64{0}, NICs: make([]inventory.VMNIC, 1)}, time.Now())
	if _, _, err := w.fleet.Plan(w.t.Context(), m, golden); err != nil {
		w.t.Error(err)
	}
}

// TestCheck: first contact is diagnosed, with the host's secret; a host that is connected
// is asked itself.
func TestCheck(t *testing.T) {
	w := newWorld(t, "kvm1")
	check := func(want string) {
		t.Helper()
		found, err := w.fleet.Check(t.Context(), "kvm1")
		if err != nil || len(found) != 1 || found[0].What != want {
			t.Errorf("got %+v, %v; want %q", found, err, want)
		}
	}
	check("reach")
	w.diagnosed = fmt.Errorf("diagnose: %w", context.DeadlineExceeded)
	check("reach")
	if w.opened["kvm1"] != 0 || w.secrets["kvm1"] != "unsealed of kvm1" {
		t.Errorf("opened %d times, with %q", w.opened["kvm1"], w.secrets["kvm1"])
	}
	w.plan("kvm1")
	check("memory")
	w.update(func(ctx context.Context, x inventory.Tx) error { return x.PutHostSecret(ctx, "kvm1", []byte("spoilt")) })
	check("secret")
	if _, err := w.fleet.Check(t.Context(), "nobody"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("a host that is not there: %v", err)
	}
}

// TestRefusedLogin: a login that was refused is not tried again and again, which would lock
// the account; it is with another secret, and after a person has looked.
func TestRefusedLogin(t *testing.T) {
	w := newWorld(t, "kvm1")
	secret := func(s string) func(context.Context, inventory.Tx) error {
		return func(ctx context.Context, x inventory.Tx) error { return x.PutHostSecret(ctx, "kvm1", []byte(s)) }
	}
	try := func(want error, opened int) {
		t.Helper()
		if _, err := w.fleet.Foreign(t.Context(), "kvm1"); !errors.Is(err, want) || w.opened["kvm1"] != opened {
			t.Errorf("got %v and opened it %d times; want %v, %d", err, w.opened["kvm1"], want, opened)
		}
	}
	w.update(secret("wrong"))
	for range 3 {
		try(inventory.ErrDenied, 1)
	}
	if _, err := w.fleet.Check(t.Context(), "kvm1"); err != nil {
		t.Error(err)
	}
	try(inventory.ErrDenied, 2)
	try(inventory.ErrDenied, 2)
	w.update(secret("right"))
	try(inventory.ErrUnsupported, 3)
}

// TestOvertaken: a machine that is removed while its image is on the way does not wait for
// the image.
func TestOvertaken(t *testing.T) {
	w := newWorld(t, "kvm1")
	h := w.hosts["kvm1"]
	h.hold, h.slow = make(chan struct{}), true
	w.create("web", "kvm1", 1<<30)
	w.until("web", phase(inventory.PhaseBoot))
	if _, err := w.life.Remove(t.Context(), "web", "test"); err != nil {
		t.Fatal(err)
	}
	w.until("web", func(m *inventory.Machine) bool { return m == nil })
	if len(h.vms) > 0 || h.sent > 0 {
		t.Errorf("machines %v, images sent %d", h.vms, h.sent)
	}
}

func TestPlacement(t *testing.T) {
	w := newWorld(t, "kvm1", "kvm2", "kvm3")
	w.hosts["kvm2"].can.MemoryBytes = 16 << 30
	w.hosts["kvm3"].can.MemoryBytes = 1 << 30
	for _, step := range []struct {
		name string
		host string
		why  string
	}{
		{"db", "kvm2", "most memory free"},
		{"web-1", "kvm2", "the image is there already"},
		{"web-2", "kvm1", "0 machines of its kind there, 1 on kvm2"},
	} {
		w.create(step.name, inventory.AnyHost, 2<<30)
		m := w.until(step.name, phase(inventory.PhaseFirstBoot))
		if m.Spec.VM.Host != step.host {
			t.Errorf("%s is on %s, want %s", step.name, m.Spec.VM.Host, step.host)
		}
		if why := w.placed(m.ID); !strings.Contains(why, step.why) {
			t.Errorf("%s: %q, want %q", step.name, why, step.why)
		}
	}
	w.create("huge", inventory.AnyHost, 64<<30)
	m := w.until("huge", func(m *inventory.Machine) bool { return m != nil && m.Status.Error != nil })
	if r := m.Status.Error.Reason; !strings.Contains(r, "no host takes machine huge") || !strings.Contains(r, "kvm3: 966 MB of memory free, 68.7 GB wanted") {
		t.Errorf("reason %q", r)
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
