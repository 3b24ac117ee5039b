package agentapi

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

func TestHelloMakesTheMachine(t *testing.T) {
	s := newService(t)
	c, w := s.up(hello("boot-one", uuidA, macA, macB))
	if c.Token == "" || w.NetconsolePort != 6666 || w.BeatEvery != BeatEvery || !w.Time.Equal(s.now) {
		t.Errorf("welcome = %+v", w)
	}
	ms := s.machines()
	if len(ms) != 1 || ms[0].ID != w.Machine || ms[0].Name != w.Name {
		t.Fatalf("machines = %+v", ms)
	}
	m := ms[0]
	if m.Status.State != inventory.Discovered || m.Status.Firmware != inventory.FirmwareUEFI || m.Status.SecureBoot != inventory.SecureBootOff ||
		m.Status.Address != netip.MustParseAddr("127.0.0.1") || m.Status.Agent == nil || m.Status.Agent.Boot != "boot-one" || m.Status.Agent.Trusted {
		t.Errorf("status = %+v", m.Status)
	}
	if want := "discovered by agent (52:54:00:00:00:0a)\nagent is up at 127.0.0.1"; s.timeline() != want {
		t.Errorf("timeline:\n%s\nwant\n%s", s.timeline(), want)
	}
	if len(s.seen) != 1 || s.seen[0].Kind != inventory.SawAgentHello || s.seen[0].MAC != macA {
		t.Errorf("seen = %+v", s.seen)
	}
}

func TestHelloMatches(t *testing.T) {
	s := newService(t)
	_, first := s.up(hello("boot-one", uuidA, macA))
	_, same := s.up(hello("boot-one", uuidA, macA))
	if same.Machine != first.Machine || same.Token == first.Token {
		t.Errorf("the same boot again: %+v, first %+v", same, first)
	}
	s.pass(SilentAfter + time.Second)
	_, changed := s.up(hello("boot-two", strings.ToUpper(uuidA), macB))
	if changed.Machine != first.Machine {
		t.Error("a changed NIC makes another machine")
	}
	ms := s.machines()
	if d := cmp.Diff([]inventory.MAC{macA, macB}, ms[0].Identity.MACs); len(ms) != 1 || d != "" {
		t.Errorf("%d machines; MACs (-want +got):\n%s", len(ms), d)
	}
}

// TestHelloConflicts: a MAC never overrides a contradicting UUID; the machine is marked,
// once, and nobody is admitted.
func TestHelloConflicts(t *testing.T) {
	s := newService(t)
	s.up(hello("boot-one", uuidA, macA))
	s.pass(time.Hour)
	for range 2 {
		_, err := s.client().Hello(t.Context(), hello("boot-two", uuidB, macA))
		if err == nil || !strings.Contains(err.Error(), "UUID "+uuidB) {
			t.Errorf("hello: %v", err)
		}
	}
	ms := s.machines()
	if len(ms) != 1 || ms[0].Status.Conflict == "" || ms[0].Status.Agent.Boot != "boot-one" {
		t.Errorf("machines = %+v", ms[0].Status)
	}
	if n := strings.Count(s.timeline(), "identity conflict"); n != 1 {
		t.Errorf("the conflict was told %d times, want once:\n%s", n, s.timeline())
	}
	if last := s.seen[len(s.seen)-1]; last.Kind != inventory.SawAgentRefused {
		t.Errorf("seen = %+v", last)
	}
}

// TestSecondClaim: while an agent is alive, another boot is refused and raises an alarm;
// after it fell silent another boot is let in, and the first one's token is worth
// nothing.
func TestSecondClaim(t *testing.T) {
	s := newService(t)
	first, _ := s.up(hello("boot-one", uuidA, macA))
	s.pass(SilentAfter)
	_, err := s.client().Hello(t.Context(), hello("boot-two", uuidA, macA))
	if err == nil || !strings.Contains(err.Error(), "another agent speaks for") {
		t.Errorf("second claim: %v", err)
	}
	if !strings.Contains(s.timeline(), "alarm: another agent speaks for") {
		t.Errorf("no alarm:\n%s", s.timeline())
	}
	s.pass(time.Second)
	second, _ := s.up(hello("boot-two", uuidA, macA))
	if err := second.Beat(t.Context(), Beat{}); err != nil {
		t.Errorf("beat of the second: %v", err)
	}
	if err := first.Beat(t.Context(), Beat{}); !errors.Is(err, ErrSession) {
		t.Errorf("beat of the first: %v, want ErrSession", err)
	}
	if _, err := first.Order(t.Context(), 0); !errors.Is(err, ErrSession) {
		t.Errorf("order for the first: %v, want ErrSession", err)
	}
}

func TestBadHello(t *testing.T) {
	s := newService(t)
	many := make([]inventory.MAC, 65)
	for i := range many {
		many[i] = inventory.MAC("52:54:00:00:01:" + string("0123456789abcdef"[i>>4]) + string("0123456789abcdef"[i&15]))
	}
	for want, h := range map[string]Hello{
		"boot name of 0 characters":  {Identity: inventory.Identity{MACs: []inventory.MAC{macA}}},
		"boot name of 65 characters": {Boot: strings.Repeat("x", 65), Identity: inventory.Identity{MACs: []inventory.MAC{macA}}},
		"no MAC address":             {Boot: "boot-one", Identity: inventory.Identity{UUID: uuidA}},
		"identity is too large":      {Boot: "boot-one", Identity: inventory.Identity{MACs: many}},
	} {
		_, err := s.client().Hello(t.Context(), h)
		var final *FinalError
		if !errors.As(err, &final) || !strings.Contains(err.Error(), want) {
			t.Errorf("hello: %v, want a final error with %q", err, want)
		}
	}
	if ms := s.machines(); len(ms) > 0 {
		t.Errorf("a bad hello made %s", ms[0].Name)
	}
}

func TestPinMismatch(t *testing.T) {
	s := newService(t)
	c := NewClient(s.http.URL, strings.Repeat("0", 64))
	defer c.HTTP.CloseIdleConnections()
	if _, err := c.Hello(t.Context(), hello("boot-one", uuidA, macA)); err == nil || !strings.Contains(err.Error(), "the boot script named 000") {
		t.Errorf("hello to another server: %v", err)
	}
	if len(s.machines()) > 0 {
		t.Error("it was admitted")
	}
}
