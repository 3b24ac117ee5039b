package lifecycle

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

var t0 = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// where is a state with a phase.
func where(m *inventory.Machine) string {
	if m.Status.Phase == "" {
		return string(m.Status.State)
	}
	return string(m.Status.State) + "/" + string(m.Status.Phase)
}

// given makes a machine document for the table: state, phase, and what spoil adds.
func given(s inventory.State, p inventory.Phase, add ...func(*inventory.Machine)) *inventory.Machine {
	m := &inventory.Machine{ID: "m-1", Name: "web", Kind: inventory.KindMetal, Spec: inventory.Spec{Approved: true, Generation: 3, ImageDigest: "sha256:new"},
		Status: inventory.Status{State: s, Phase: p, PhaseSince: t0, Beat: t0}}
	for _, f := range add {
		f(m)
	}
	return m
}

func alive(m *inventory.Machine) {
	m.Status.Agent = &inventory.AgentSession{Boot: "b1", Since: t0.Add(-time.Minute), LastLog: "last words"}
}

// silent: an agent that has not been heard of for a while.
func silent(m *inventory.Machine) {
	alive(m)
	m.Status.Beat = t0.Add(-DefaultLimits.Silent)
	m.Status.PhaseSince = m.Status.Beat
}

func virtual(m *inventory.Machine) {
	m.Kind, m.Spec.VM = inventory.KindVM, &inventory.VMSpec{Host: "vc1"}
}

// waiting: nothing has come for d.
func waiting(d time.Duration) func(*inventory.Machine) {
	return func(m *inventory.Machine) { m.Status.PhaseSince, m.Status.Beat = t0.Add(-d), t0.Add(-d) }
}

func reported(ok bool, generation int64, f *inventory.Failure) func(*inventory.Machine) {
	return func(m *inventory.Machine) {
		m.Status.Report = &inventory.Report{Generation: generation, OK: ok, Failure: f, At: t0}
	}
}

// standing puts the report's failure beside the state, as a step before did.
func standing(m *inventory.Machine) {
	f := *m.Status.Report.Failure
	f.Since = m.Status.Report.At
	m.Status.Error = &f
}

func phonedHome(generation int64) func(*inventory.Machine) {
	return func(m *inventory.Machine) {
		m.Status.PhoneHome = &inventory.PhoneHome{Generation: generation, InstanceID: "m-1-3"}
	}
}

func failure(permanent bool) *inventory.Failure {
	return &inventory.Failure{Step: "write", Reason: "chunk 7 is bad", Permanent: permanent}
}

func TestDecide(t *testing.T) {
	unapproved := func(m *inventory.Machine) { m.Spec.Approved = false }
	after := func(d time.Duration) func(*inventory.Machine) {
		return func(m *inventory.Machine) {
			m.Status.Report.At = t0.Add(-d)
			standing(m)
		}
	}
	tries := func(n int) func(*inventory.Machine) { return func(m *inventory.Machine) { m.Status.Tries = n } }
	facts := func(d time.Duration) func(*inventory.Machine) {
		return func(m *inventory.Machine) { m.Status.Agent.FactsAt = t0.Add(d) }
	}
	writing := func(m *inventory.Machine) { m.Status.Progress = &inventory.Progress{Bytes: 43, TotalBytes: 100} }
	for _, c := range []struct {
		name string
		m    *inventory.Machine
		// want is state and phase after the step; empty when the machine is at rest.
		want   string
		events []string
	}{
		{"planned", given(inventory.Planned, ""), "", nil},
		{"discovered, not approved", given(inventory.Discovered, "", unapproved), "", nil},
		{"discovered, approved", given(inventory.Discovered, ""), "inspecting/inspect", []string{"discovered → inspecting (approve)"}},
		{"ready", given(inventory.Ready, ""), "", nil},
		{"deployed", given(inventory.Deployed, "", alive), "", nil},
		{"retired", given(inventory.Retired, ""), "", nil},
		{"on hold", given(inventory.Deploying, inventory.PhasePrepare, func(m *inventory.Machine) { m.Status.Hold = "restored" }), "", nil},
		{"conflict", given(inventory.Discovered, "", func(m *inventory.Machine) { m.Status.Conflict = "two UUIDs" }), "", nil},

		{"inspecting, no agent", given(inventory.Inspecting, inventory.PhaseInspect), "", nil},
		{"inspecting, agent without facts", given(inventory.Inspecting, inventory.PhaseInspect, alive), "", nil},
		{"inspecting, facts came", given(inventory.Inspecting, inventory.PhaseInspect, alive, facts(time.Second)), "ready", []string{"inspecting → ready (inspected)"}},
		{"inspecting, facts of this agent from just before", given(inventory.Inspecting, inventory.PhaseInspect, alive, facts(-time.Second)), "ready",
			[]string{"inspecting → ready (inspected)"}},
		{"inspecting, old facts", given(inventory.Inspecting, inventory.PhaseInspect, alive, facts(-time.Hour)), "", nil},
		{"inspecting for too long", given(inventory.Inspecting, inventory.PhaseInspect, waiting(DefaultLimits.Boot)), "inspecting/inspect",
			[]string{"inspect failed: the machine has not booted the agent"}},

		{"prepare", given(inventory.Deploying, inventory.PhasePrepare), "deploying/boot", []string{"boot"}},
		{"boot, no agent", given(inventory.Deploying, inventory.PhaseBoot), "", nil},
		{"boot, agent up", given(inventory.Deploying, inventory.PhaseBoot, alive), "deploying/write", []string{"write"}},
		{"boot overdue", given(inventory.Deploying, inventory.PhaseBoot, waiting(DefaultLimits.Boot)), "deploying/boot",
			[]string{"boot failed: the machine has not booted the agent"}},
		{"VM overdue", given(inventory.Deploying, inventory.PhaseBoot, virtual, waiting(DefaultLimits.Boot)), "deploying/boot",
			[]string{"boot failed: nothing was heard of the work at its host"}},
		{"boot overdue, told already", given(inventory.Deploying, inventory.PhaseBoot, waiting(DefaultLimits.Boot),
			func(m *inventory.Machine) { m.Status.Error = &inventory.Failure{Step: "boot"} }), "", nil},
		{"writing", given(inventory.Deploying, inventory.PhaseWrite, alive, writing), "", nil},
		{"written", given(inventory.Deploying, inventory.PhaseWrite, alive, reported(true, 3, nil)), "deploying/reboot", []string{"reboot"}},
		{"report of an older order", given(inventory.Deploying, inventory.PhaseWrite, alive, reported(true, 2, nil)), "", nil},
		{"agent lost while writing", given(inventory.Deploying, inventory.PhaseWrite, silent, writing), "deploying/boot",
			[]string{"agent fell silent; its last log line: last words", "boot"}},
		{"agent lost while writing, again and again", given(inventory.Deploying, inventory.PhaseWrite, silent, writing, tries(DefaultLimits.Tries-1)), "deploying/boot",
			[]string{"agent fell silent; its last log line: last words", "boot", "write failed: the agent fell silent in the middle of the work 5 times"}},
		{"given up, agent is back", given(inventory.Deploying, inventory.PhaseBoot, alive, tries(DefaultLimits.Tries)), "", nil},
		{"write failed", given(inventory.Deploying, inventory.PhaseWrite, alive, reported(false, 3, failure(false))), "deploying/write",
			[]string{"write failed: chunk 7 is bad"}},
		{"write failed, pause", given(inventory.Deploying, inventory.PhaseWrite, alive, reported(false, 3, failure(false)), after(DefaultLimits.Retry-1)), "", nil},
		{"write failed, pause over", given(inventory.Deploying, inventory.PhaseWrite, alive, reported(false, 3, failure(false)), after(DefaultLimits.Retry)),
			"deploying/write", []string{"write goes on", "write"}},
		{"second failure, pause is longer", given(inventory.Deploying, inventory.PhaseWrite, alive, tries(1), reported(false, 3, failure(false)), after(DefaultLimits.Retry)), "", nil},
		{"second failure, pause over", given(inventory.Deploying, inventory.PhaseWrite, alive, tries(1), reported(false, 3, failure(false)), after(2*DefaultLimits.Retry)),
			"deploying/write", []string{"write goes on", "write"}},
		{"permanent failure stands", given(inventory.Deploying, inventory.PhaseWrite, alive, reported(false, 3, failure(true)), after(time.Hour)), "", nil},
		{"failure without a reason", given(inventory.Deploying, inventory.PhaseWrite, alive, reported(false, 3, nil)), "deploying/write",
			[]string{"write failed: the agent gave no reason"}},

		{"reboot, agent still there", given(inventory.Deploying, inventory.PhaseReboot, alive), "", nil},
		{"reboot, agent gone", given(inventory.Deploying, inventory.PhaseReboot, silent), "deploying/first-boot", []string{"first-boot"}},
		{"first boot of a silent image", given(inventory.Deploying, inventory.PhaseReboot, silent, func(m *inventory.Machine) { m.Status.FirstBootNone = true }), "deployed",
			[]string{"first-boot", "deploying → deployed (phone-home)"}},
		{"phone-home", given(inventory.Deploying, inventory.PhaseFirstBoot, phonedHome(3)), "deployed",
			[]string{"deploying → deployed (phone-home)", "phone-home from invalid IP"}},
		{"phone-home before the agent was missed", given(inventory.Deploying, inventory.PhaseReboot, alive, phonedHome(3)), "deployed",
			[]string{"deploying → deployed (phone-home)", "phone-home from invalid IP"}},
		{"phone-home of an older installation", given(inventory.Deploying, inventory.PhaseFirstBoot, phonedHome(2)), "", nil},
		{"phone-home before anything was written", given(inventory.Deploying, inventory.PhaseBoot, phonedHome(3)), "", nil},
		{"first boot overdue", given(inventory.Deploying, inventory.PhaseFirstBoot, waiting(DefaultLimits.FirstBoot)), "deploying/first-boot",
			[]string{"first-boot failed: the installed system has not phoned home"}},

		{"wipe, no agent", given(inventory.Releasing, inventory.PhaseWipe), "", nil},
		{"wiped", given(inventory.Releasing, inventory.PhaseWipe, alive, reported(true, 3, nil)), "ready", []string{"releasing → ready (wiped)"}},
		{"wipe failed", given(inventory.Releasing, inventory.PhaseWipe, alive, reported(false, 3, failure(false))), "releasing/wipe",
			[]string{"write failed: chunk 7 is bad"}},
		{"agent lost while wiping", given(inventory.Releasing, inventory.PhaseWipe, silent), "releasing/wipe", []string{"agent fell silent; its last log line: last words"}},

		{"rescue, waiting", given(inventory.Rescue, inventory.PhaseBoot), "", nil},
		{"rescue, agent up", given(inventory.Rescue, inventory.PhaseBoot, alive), "rescue", []string{"the agent is up"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := New(nil, nil, func() time.Time { return t0 }, nil)
			next := l.decide(c.m)
			if next == nil {
				if c.want != "" {
					t.Errorf("at rest, want %s", c.want)
				}
				return
			}
			ch := &change{m: c.m, now: t0, dry: true}
			next(ch)
			if ch.err != nil {
				t.Fatal(ch.err)
			}
			var events []string
			for _, p := range ch.events {
				events = append(events, p.String())
			}
			if got := where(c.m); got != c.want {
				t.Errorf("step to %q, want %q", got, c.want)
			}
			if d := cmp.Diff(c.events, events); d != "" {
				t.Errorf("events (-want +got):\n%s", d)
			}
			if again := l.decide(c.m); c.m.Status.Error != nil && again != nil {
				t.Error("a failure that was just told is told again")
			}
		})
	}
}

// TestTriesBecomePermanent: the last try's failure waits for a person.
func TestTriesBecomePermanent(t *testing.T) {
	l := New(nil, nil, func() time.Time { return t0 }, nil)
	m := given(inventory.Deploying, inventory.PhaseWrite, alive, reported(false, 3, failure(false)))
	m.Status.Tries = l.Limits.Tries - 1
	ch := &change{m: m, now: t0, dry: true}
	l.decide(m)(ch)
	if e := m.Status.Error; e == nil || !e.Permanent || e.Try == "" {
		t.Errorf("failure after %d tries = %+v", l.Limits.Tries, e)
	}
}

// TestVMIsTriedOnAndOn: a host that is away for long is asked again when it is back.
func TestVMIsTriedOnAndOn(t *testing.T) {
	l := New(nil, nil, func() time.Time { return t0.Add(time.Hour) }, nil)
	m := given(inventory.Deploying, inventory.PhaseBoot, virtual, reported(false, 3, failure(false)), func(m *inventory.Machine) { m.Status.Tries = 100 })
	ch := &change{m: m, now: t0, dry: true}
	l.decide(m)(ch)
	if e := m.Status.Error; e == nil || e.Permanent {
		t.Fatalf("failure %+v", e)
	}
	again := l.decide(m)
	if again == nil {
		t.Fatal("it is not tried again")
	}
	again(ch)
	if m.Status.Report != nil || m.Status.Phase != inventory.PhaseBoot {
		t.Errorf("phase %s, report %+v", m.Status.Phase, m.Status.Report)
	}
}
