package inventory

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the files that tests compare with")

var states = []State{Planned, Discovered, Inspecting, Ready, Deploying, Deployed, Releasing, Rescue, Retired}

var triggers = []Trigger{TriggerSeen, TriggerApprove, TriggerInspected, TriggerInspect, TriggerDeploy, TriggerPhoneHome,
	TriggerRelease, TriggerWiped, TriggerRescue, TriggerReturn, TriggerRetire, TriggerRevive}

// sameAddress lets cmp look at addresses, which have no exported fields.
var sameAddress = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

var stateTime = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// allowed is the table once more, as a person reads it: row state, column trigger.
var allowed = map[State]string{
	Planned:    "seen approve retire",
	Discovered: "approve retire",
	Inspecting: "inspected retire",
	Ready:      "inspect deploy release rescue retire",
	Deploying:  "deploy phone-home release rescue retire",
	Deployed:   "deploy release rescue retire",
	Releasing:  "release wiped retire",
	Rescue:     "return retire",
	Retired:    "revive",
}

func TestEveryStateWithEveryTrigger(t *testing.T) {
	for _, from := range states {
		for _, trigger := range triggers {
			m := &Machine{Name: "web", Status: Status{State: from, Previous: Ready, Error: &Failure{Step: "x"}, Tries: 3,
				Progress: &Progress{}}}
			before := *m
			changed, err := m.Apply(trigger, stateTime)
			if !slices.Contains(strings.Fields(allowed[from]), string(trigger)) {
				if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), string(from)) {
					t.Errorf("%s in %s: %v, want ErrBusy that names the state", trigger, from, err)
				}
				if d := cmp.Diff(before.Status, m.Status, sameAddress); d != "" {
					t.Errorf("%s in %s changed the machine (-want +got):\n%s", trigger, from, d)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s in %s: %v", trigger, from, err)
				continue
			}
			s := m.Status
			if s.Error != nil || s.Tries != 0 || s.Progress != nil || !s.PhaseSince.Equal(stateTime) || !s.Beat.Equal(stateTime) {
				t.Errorf("%s in %s left something of the old state: %+v", trigger, from, s)
			}
			if d := cmp.Diff(StateChanged{From: from, To: s.State, Trigger: trigger}, changed); d != "" {
				t.Errorf("%s in %s (-want +got):\n%s", trigger, from, d)
			}
		}
	}
}

func TestTransitionsAreUnambiguous(t *testing.T) {
	seen := map[string]bool{}
	for _, tr := range Transitions {
		key := string(tr.From) + " " + string(tr.Trigger)
		if seen[key] {
			t.Errorf("%s has two arrows", key)
		}
		seen[key] = true
		if !slices.Contains(states, tr.From) || !slices.Contains(states, tr.To) || !slices.Contains(triggers, tr.Trigger) {
			t.Errorf("unknown name in %+v", tr)
		}
	}
}

// TestReturnFromRescue: a machine goes back to where it was, and a deploy that was
// interrupted begins again.
func TestReturnFromRescue(t *testing.T) {
	for from, phase := range map[State]Phase{Ready: "", Deployed: "", Deploying: PhasePrepare} {
		m := &Machine{Name: "web", Status: Status{State: from, Phase: PhaseWrite}}
		if _, err := m.Apply(TriggerRescue, stateTime); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Apply(TriggerReturn, stateTime); err != nil {
			t.Fatal(err)
		}
		if m.Status.State != from || m.Status.Phase != phase {
			t.Errorf("return to %s: %s/%s, want phase %q", from, m.Status.State, m.Status.Phase, phase)
		}
	}
}

// TestStatesDrawing compares the drawing with the table; -update writes it.
func TestStatesDrawing(t *testing.T) {
	want := drawing()
	if *update {
		if err := os.WriteFile("STATES.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("STATES.md")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("STATES.md is not what the table says; run go test ./inventory -update (-want +got):\n%s", d)
	}
}

func drawing() string {
	var b strings.Builder
	b.WriteString("# The life of a machine\n\nMade from `Transitions` in `state.go` by `go test ./inventory -update`. What is not here doesn't happen.\n\n")
	b.WriteString("```mermaid\nstateDiagram-v2\n")
	for _, tr := range Transitions {
		fmt.Fprintf(&b, "  %s --> %s: %s\n", tr.From, tr.To, tr.Trigger)
	}
	for _, from := range []State{Ready, Deployed, Deploying} {
		fmt.Fprintf(&b, "  %s --> %s: %s\n", Rescue, from, TriggerReturn)
	}
	b.WriteString("```\n\n| from | trigger | to | first phase |\n| --- | --- | --- | --- |\n")
	for _, tr := range Transitions {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", tr.From, tr.Trigger, tr.To, tr.Phase)
	}
	fmt.Fprintf(&b, "| %s | %s | where it was | as for a new order |\n", Rescue, TriggerReturn)
	return b.String()
}
