package inventory

import (
	"fmt"
	"slices"
	"time"
)

// State is the place in a machine's life. See Transitions for the arrows.
type State string

// The states.
const (
	// Planned: in the rack plan, never seen.
	Planned State = "planned"
	// Discovered: seen on the wire, not approved. Facts may be read, nothing more.
	Discovered State = "discovered"
	// Inspecting: approved; the agent reads its facts.
	Inspecting State = "inspecting"
	// Ready: inspected and free.
	Ready State = "ready"
	// Deploying: an image is on its way; see Phase.
	Deploying State = "deploying"
	// Deployed: the installed system said so itself.
	Deployed State = "deployed"
	// Releasing: its disks are being wiped.
	Releasing State = "releasing"
	// Rescue: runs the agent, and comes back to where it was.
	Rescue State = "rescue"
	// Retired: known, and never touched.
	Retired State = "retired"
)

// Phase is the step inside a state.
type Phase string

// The phases of Deploying, in order, then those of other states.
const (
	// PhasePrepare resolves image, address and seed.
	PhasePrepare Phase = "prepare"
	// PhaseBoot waits for the agent (or the hypervisor's create).
	PhaseBoot Phase = "boot"
	// PhaseWrite writes disk, seed and boot order.
	PhaseWrite Phase = "write"
	// PhaseReboot waits for the agent to leave.
	PhaseReboot Phase = "reboot"
	// PhaseFirstBoot waits for the installed system's phone-home.
	PhaseFirstBoot Phase = "first-boot"
	// PhaseWipe erases disks (Releasing).
	PhaseWipe Phase = "wipe"
	// PhaseInspect waits for facts (Inspecting).
	PhaseInspect Phase = "inspect"
)

// Trigger is the named cause of a transition.
type Trigger string

// The triggers.
const (
	TriggerSeen      Trigger = "seen"
	TriggerApprove   Trigger = "approve"
	TriggerInspected Trigger = "inspected"
	TriggerInspect   Trigger = "inspect"
	TriggerDeploy    Trigger = "deploy"
	TriggerPhoneHome Trigger = "phone-home"
	TriggerRelease   Trigger = "release"
	TriggerWiped     Trigger = "wiped"
	TriggerRescue    Trigger = "rescue"
	TriggerReturn    Trigger = "return"
	TriggerRetire    Trigger = "retire"
	TriggerRevive    Trigger = "revive"
)

// Transition is one arrow.
type Transition struct {
	From    State
	Trigger Trigger
	To      State
	// Phase is the first phase in To.
	Phase Phase
}

// Transitions is the whole table: what is not here doesn't happen. Return has no row:
// it goes to Status.Previous, and a deploy that rescue interrupted begins again. The drawing in inventory/STATES.md is made from it.
var Transitions = []Transition{
	{Planned, TriggerSeen, Discovered, ""},
	{Discovered, TriggerApprove, Inspecting, PhaseInspect},
	{Planned, TriggerApprove, Inspecting, PhaseInspect},
	{Inspecting, TriggerInspected, Ready, ""},
	{Ready, TriggerInspect, Inspecting, PhaseInspect},
	{Ready, TriggerDeploy, Deploying, PhasePrepare},
	{Deploying, TriggerDeploy, Deploying, PhasePrepare},
	{Deployed, TriggerDeploy, Deploying, PhasePrepare},
	{Deploying, TriggerPhoneHome, Deployed, ""},
	{Deployed, TriggerRelease, Releasing, PhaseWipe},
	{Deploying, TriggerRelease, Releasing, PhaseWipe},
	{Ready, TriggerRelease, Releasing, PhaseWipe},
	{Releasing, TriggerRelease, Releasing, PhaseWipe},
	{Releasing, TriggerWiped, Ready, ""},
	{Ready, TriggerRescue, Rescue, PhaseBoot},
	{Deployed, TriggerRescue, Rescue, PhaseBoot},
	{Deploying, TriggerRescue, Rescue, PhaseBoot},
	{Planned, TriggerRetire, Retired, ""},
	{Discovered, TriggerRetire, Retired, ""},
	{Inspecting, TriggerRetire, Retired, ""},
	{Ready, TriggerRetire, Retired, ""},
	{Deployed, TriggerRetire, Retired, ""},
	{Deploying, TriggerRetire, Retired, ""},
	{Releasing, TriggerRetire, Retired, ""},
	{Rescue, TriggerRetire, Retired, ""},
	{Retired, TriggerRevive, Discovered, ""},
}

// Apply carries a trigger out on m at time now: it sets state and phase, forgets the
// failure and progress of the state left, and returns the event's payload. A trigger
// that the table doesn't have for this state is ErrBusy, and m is unchanged.
func (m *Machine) Apply(trigger Trigger, now time.Time) (StateChanged, error) {
	t, ok := m.next(trigger)
	if !ok {
		return StateChanged{}, fmt.Errorf("%s %s: machine is %s: %w", trigger, m.Name, m.Status.State, ErrBusy)
	}
	change := StateChanged{From: m.Status.State, To: t.To, Trigger: trigger}
	if trigger == TriggerRescue {
		m.Status.Previous = m.Status.State
	}
	m.Status.State = t.To
	m.SetPhase(t.Phase, now)
	m.Status.Error = nil
	return change, nil
}

// SetPhase enters a phase: the clock of the phase restarts, tries and progress too.
func (m *Machine) SetPhase(p Phase, now time.Time) {
	m.Status.Phase = p
	m.Status.PhaseSince = now
	m.Status.Beat = now
	m.Status.Tries = 0
	m.Status.Progress = nil
}

func (m *Machine) next(trigger Trigger) (Transition, bool) {
	if trigger == TriggerReturn && m.Status.State == Rescue {
		back := Transition{From: Rescue, Trigger: trigger, To: m.Status.Previous}
		if back.To == Deploying {
			back.Phase = PhasePrepare
		}
		return back, back.To != ""
	}
	i := slices.IndexFunc(Transitions, func(t Transition) bool {
		return t.From == m.Status.State && t.Trigger == trigger
	})
	if i < 0 {
		return Transition{}, false
	}
	return Transitions[i], true
}
