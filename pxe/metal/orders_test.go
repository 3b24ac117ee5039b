package metal

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
	"ingot/inventory/sqlstore"
	"ingot/pxe/agentapi"
)

var t0 = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const (
	mac      = inventory.MAC("52:54:00:00:00:01")
	userData = "#cloud-config\npassword: hunter2\n"
)

var image = inventory.Image{Name: "debian-12", Digest: "sha256:" + strings.Repeat("ab", 32), LogicalSectorBytes: 512, FirstBoot: "cloud-init"}

func orders() *Orders {
	return &Orders{Inventory: "inv-1", Now: func() time.Time { return t0 },
		PhoneHomeURL: func(local netip.Addr, machine string, generation int64) string {
			return "http://" + local.String() + "/phone-home/" + machine
		}}
}

// machine is approved, of generation 3, with an agent up.
func machine(s inventory.State, p inventory.Phase, change ...func(*inventory.Machine)) *inventory.Machine {
	m := &inventory.Machine{ID: "m-1", Name: "web", Kind: inventory.KindMetal, Identity: inventory.Identity{MACs: []inventory.MAC{mac}},
		Spec: inventory.Spec{Approved: true, Generation: 3, ImageDigest: image.Digest, Disk: inventory.DiskHint{Serial: "S1"}, Overwrite: true, Verify: true,
			UserData: []byte(userData)},
		Status: inventory.Status{State: s, Phase: p, PhaseSince: t0, OrderedAt: t0,
			Agent: &inventory.AgentSession{Boot: "boot-one", FactsAt: t0, Address: netip.MustParseAddr("192.0.2.7")}}}
	for _, f := range change {
		f(m)
	}
	return m
}

func ask(boot string) agentapi.Ask {
	return agentapi.Ask{Session: inventory.Session{TokenHash: "hash-" + boot, Machine: "m-1", Boot: boot, Created: t0}, Local: netip.MustParseAddr("192.0.2.1")}
}

func TestOrderKind(t *testing.T) {
	reported := func(m *inventory.Machine) { m.Status.Report = &inventory.Report{Generation: 3} }
	oldFacts := func(m *inventory.Machine) { m.Status.Agent.FactsAt = t0.Add(-time.Second) }
	hold := func(m *inventory.Machine) { m.Status.Hold = "restored" }
	conflict := func(m *inventory.Machine) { m.Status.Conflict = "two UUIDs" }
	for _, c := range []struct {
		name string
		m    *inventory.Machine
		want agentapi.OrderKind
	}{
		{"discovered", machine(inventory.Discovered, ""), agentapi.OrderWait},
		{"inspecting, facts are there", machine(inventory.Inspecting, inventory.PhaseInspect), agentapi.OrderWait},
		{"inspecting, old facts", machine(inventory.Inspecting, inventory.PhaseInspect, oldFacts), agentapi.OrderRefresh},
		{"ready", machine(inventory.Ready, ""), agentapi.OrderWait},
		{"prepare", machine(inventory.Deploying, inventory.PhasePrepare), agentapi.OrderWait},
		{"boot", machine(inventory.Deploying, inventory.PhaseBoot), agentapi.OrderWait},
		{"write", machine(inventory.Deploying, inventory.PhaseWrite), agentapi.OrderDeploy},
		{"written", machine(inventory.Deploying, inventory.PhaseWrite, reported), agentapi.OrderWait},
		{"reboot", machine(inventory.Deploying, inventory.PhaseReboot, reported), agentapi.OrderReboot},
		{"first boot, agent came again", machine(inventory.Deploying, inventory.PhaseFirstBoot, reported), agentapi.OrderReboot},
		{"deployed", machine(inventory.Deployed, ""), agentapi.OrderWait},
		{"wipe", machine(inventory.Releasing, inventory.PhaseWipe), agentapi.OrderWipe},
		{"wiped", machine(inventory.Releasing, inventory.PhaseWipe, reported), agentapi.OrderWait},
		{"rescue", machine(inventory.Rescue, ""), agentapi.OrderWait},
		{"retired", machine(inventory.Retired, ""), agentapi.OrderWait},
		{"write on hold", machine(inventory.Deploying, inventory.PhaseWrite, hold), agentapi.OrderWait},
		{"wipe on hold", machine(inventory.Releasing, inventory.PhaseWipe, hold), agentapi.OrderWait},
		{"write in a conflict", machine(inventory.Deploying, inventory.PhaseWrite, conflict), agentapi.OrderWait},
	} {
		o := orders()
		if got := o.kind(c.m, ask("boot-one")); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if got := o.Pending(c.m, ask("boot-one")); got != (c.want != agentapi.OrderWait) {
			t.Errorf("%s: pending %v", c.name, got)
		}
	}
}

// shelf is a store with the image and one machine.
type shelf struct {
	t     *testing.T
	store inventory.Store
}

func newShelf(t *testing.T, m *inventory.Machine, i inventory.Image) *shelf {
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
	if err := store.Update(t.Context(), func(x inventory.Tx) error {
		return errors.Join(x.PutMachine(t.Context(), m), x.PutImage(t.Context(), i),
			x.PutNetwork(t.Context(), inventory.Network{Name: "rack", Subnet: netip.MustParsePrefix("192.0.2.0/24"), DHCP: inventory.DHCPProxy}))
	}); err != nil {
		t.Fatal(err)
	}
	return &shelf{t, store}
}

// order asks as the agent's API does: the machine is stored after it.
func (s *shelf) order(a agentapi.Ask) (o agentapi.Order, err error) {
	s.t.Helper()
	ctx := s.t.Context()
	err = s.store.Update(ctx, func(x inventory.Tx) error {
		m, err := x.Machine(ctx, "web")
		if err != nil {
			return err
		}
		m.Status.Agent.Boot = a.Session.Boot
		if o, err = orders().Order(ctx, x, m, a); err != nil {
			return err
		}
		return x.PutMachine(ctx, m)
	})
	return o, err
}

func (s *shelf) alarms() (n int) {
	s.t.Helper()
	if err := s.store.View(s.t.Context(), func(x inventory.Tx) error {
		es, err := x.Events(s.t.Context(), inventory.EventQuery{Kinds: []inventory.EventKind{inventory.EventAgentAlarm}})
		n = len(es)
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func TestDeployOrder(t *testing.T) {
	s := newShelf(t, machine(inventory.Deploying, inventory.PhaseWrite), image)
	o, err := s.order(ask("boot-one"))
	if err != nil {
		t.Fatal(err)
	}
	seed, err := agentapi.UnpackSeed(o.Deploy.Seed)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{userData, "http://192.0.2.1/phone-home/m-1", "instance-id: m-1-3"} {
		if !strings.Contains(string(seed), want) {
			t.Errorf("seed without %q", want)
		}
	}
	o.Deploy.Seed = nil
	want := agentapi.Order{Kind: agentapi.OrderDeploy, Generation: 3, Inventory: "inv-1", Deploy: &agentapi.Deploy{
		Image: "debian-12@" + image.Digest, Digest: image.Digest, ManifestPath: "/images/" + image.Digest + "/manifest.json",
		DataPath: "/images/" + image.Digest + "/data", Disk: inventory.DiskHint{Serial: "S1"}, Overwrite: true, Verify: true, Machine: "m-1"}}
	if d := cmp.Diff(want, o); d != "" {
		t.Errorf("order (-want +got):\n%s", d)
	}
	if err := s.store.View(t.Context(), func(x inventory.Tx) error {
		session, err := x.Session(t.Context(), "hash-boot-one")
		if !session.Trusted {
			t.Error("the session that got the secrets is not marked")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestImagesWithoutCloudInitGetNoSeed(t *testing.T) {
	windows := image
	windows.FirstBoot = "none"
	s := newShelf(t, machine(inventory.Deploying, inventory.PhaseWrite), windows)
	o, err := s.order(ask("boot-one"))
	if err != nil || o.Deploy.Seed != nil {
		t.Errorf("order = %+v, %v", o.Deploy, err)
	}
}

func TestSecretsNeedApproval(t *testing.T) {
	s := newShelf(t, machine(inventory.Deploying, inventory.PhaseWrite, func(m *inventory.Machine) { m.Spec.Approved = false }), image)
	if o, err := s.order(ask("boot-one")); !errors.Is(err, inventory.ErrDenied) || o.Deploy != nil {
		t.Errorf("order = %+v, %v; want ErrDenied", o, err)
	}
}

func TestImageIsGone(t *testing.T) {
	s := newShelf(t, machine(inventory.Deploying, inventory.PhaseWrite, func(m *inventory.Machine) { m.Spec.ImageDigest = "sha256:gone" }), image)
	if _, err := s.order(ask("boot-one")); !errors.Is(err, inventory.ErrNotFound) || !strings.Contains(err.Error(), "sha256:gone") {
		t.Errorf("order: %v, want ErrNotFound with the digest", err)
	}
}

// TestSecondClaim: another boot that takes the same order raises an alarm, unless the
// first agent was seen to go; the same boot asking again does not.
func TestSecondClaim(t *testing.T) {
	s := newShelf(t, machine(inventory.Deploying, inventory.PhaseWrite), image)
	for range 2 {
		if _, err := s.order(ask("boot-one")); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.alarms(); n != 0 {
		t.Errorf("%d alarms about the first claim", n)
	}
	s.forgetTrust()
	if _, err := s.order(ask("boot-two")); err != nil {
		t.Fatal(err)
	}
	if n := s.alarms(); n != 1 {
		t.Errorf("%d alarms about a second claim, want 1", n)
	}
	s.forgetTrust()
	if err := s.store.Update(t.Context(), func(x inventory.Tx) error {
		m, err := x.Machine(t.Context(), "web")
		if err != nil {
			return err
		}
		e, err := inventory.NewEvent(m, t0.Add(time.Minute), inventory.AgentLost{Phase: inventory.PhaseWrite})
		if err != nil {
			return err
		}
		_, err = x.AddEvent(t.Context(), e)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.order(ask("boot-three")); err != nil {
		t.Fatal(err)
	}
	if n := s.alarms(); n != 1 {
		t.Errorf("%d alarms after a power cut, want still 1", n)
	}
}

// forgetTrust is what a new boot's hello does.
func (s *shelf) forgetTrust() {
	s.t.Helper()
	if err := s.store.Update(s.t.Context(), func(x inventory.Tx) error {
		m, err := x.Machine(s.t.Context(), "web")
		if err != nil {
			return err
		}
		m.Status.Agent.Trusted = false
		return x.PutMachine(s.t.Context(), m)
	}); err != nil {
		s.t.Fatal(err)
	}
}

func TestExecutorSaysWhatIsWaitedFor(t *testing.T) {
	off := func(m *inventory.Machine) { m.Status.Agent = nil }
	for _, c := range []struct {
		phase inventory.Phase
		m     *inventory.Machine
		want  string
		err   error
	}{
		{inventory.PhaseBoot, machine(inventory.Deploying, inventory.PhaseBoot, off), "switch the machine on", inventory.ErrUnsupported},
		{inventory.PhaseInspect, machine(inventory.Inspecting, inventory.PhaseInspect, off), "switch the machine on", inventory.ErrUnsupported},
		{inventory.PhaseWipe, machine(inventory.Releasing, inventory.PhaseWipe, off), "switch the machine on", inventory.ErrUnsupported},
		{inventory.PhaseBoot, machine(inventory.Deploying, inventory.PhaseBoot), "", nil},
		{inventory.PhaseWrite, machine(inventory.Deploying, inventory.PhaseWrite), "", nil},
		{inventory.PhaseFirstBoot, machine(inventory.Deploying, inventory.PhaseFirstBoot), "first boot", nil},
	} {
		got, err := Executor{}.Begin(context.Background(), c.m, c.phase)
		if !strings.Contains(got, c.want) || (c.want == "") != (got == "") || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v; want %q, %v", c.phase, got, err, c.want, c.err)
		}
	}
}
