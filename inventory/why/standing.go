package why

import (
	"fmt"
	"strings"
	"time"

	"ingot/inventory"
)

// freshAlarm is how long an alarm is the answer.
const freshAlarm = 10 * time.Minute

// conflict: identities contradict.
func conflict(ev Evidence, a *Answer) bool {
	m := ev.Machine
	if m.Status.Conflict == "" {
		return false
	}
	a.say("identity conflict, so nothing is done: %s", m.Status.Conflict)
	a.hint("if the board or NIC was moved on purpose, delete the machine that is wrong, or: ingot machine resume %s", m.Name)
	return true
}

// hold: write orders are stopped.
func hold(ev Evidence, a *Answer) bool {
	m := ev.Machine
	if m.Status.Hold == "" {
		return false
	}
	a.say("on hold, so nothing is written: %s", m.Status.Hold)
	a.hint("if its state is right: ingot machine resume %s", m.Name)
	return true
}

// alarmed: something else claims to be this machine.
func alarmed(ev Evidence, a *Answer) bool {
	alarm, at, ok := last[inventory.AgentAlarm](ev.Events)
	if !ok || ev.Now.Sub(at) > freshAlarm {
		return false
	}
	a.say("alarm %s: %s (from %s)", ev.ago(at), strings.TrimSpace(alarm.Reason), alarm.Address)
	a.hint("two agents claim to be this machine: find the one that is not, before anything is deployed")
	return true
}

// standing: a failure stands beside the state.
func standing(ev Evidence, a *Answer) bool {
	e := ev.Machine.Status.Error
	if e == nil {
		return false
	}
	again := "; it is tried again"
	switch {
	case e.Permanent:
		again = "; it waits for a new order"
	case atHost(ev):
	case waiting(ev):
		again = "; the order stands"
	}
	a.say("%s failed %s: %s%s", e.Step, ev.ago(e.Since), e.Reason, again)
	refused(ev, a)
	if e.Try != "" {
		a.hint("%s", e.Try)
	}
	detail := Answer{Known: true}
	if waiting(ev) && !e.Permanent && !atHost(ev) && first(ev, &detail, agentWork, booting) {
		for _, s := range detail.Sentences {
			a.say("%s", strings.TrimPrefix(strings.TrimPrefix(s, "nothing is wrong so far: "), "nothing is wrong: "))
		}
		a.Try = append(a.Try, detail.Try...)
	}
	return true
}

// atHost reports whether a VM's host is at work on it: nothing of it is on the wire, and no
// agent boots.
func atHost(ev Evidence) bool {
	m := ev.Machine
	return m.Kind == inventory.KindVM && (m.Status.Phase == inventory.PhaseBoot || m.Status.Phase == inventory.PhaseWipe)
}

// refused adds what an agent said about an order that does not stand.
func refused(ev Evidence, a *Answer) {
	p, at, ok := last[inventory.OrderRefused](ev.Events)
	_, ordered, given := last[inventory.Ordered](ev.Events)
	if !ok || given && at.Before(ordered) {
		return
	}
	stands := "no order stands"
	if g := ev.Machine.Spec.Generation; g > 0 {
		stands = fmt.Sprintf("order %d stands", g)
	}
	a.say("order %d was refused %s: %s (%s)", p.Generation, ev.ago(at), p.Reason, stands)
}

// waiting reports whether the machine is in a phase in which it should boot something.
func waiting(ev Evidence) bool {
	switch ev.Machine.Status.Phase {
	case inventory.PhaseBoot, inventory.PhaseFirstBoot, inventory.PhaseInspect, inventory.PhaseWipe:
		return true
	}
	return false
}

// resting: nothing is to be done with it.
func resting(ev Evidence, a *Answer) bool {
	m := ev.Machine
	switch m.Status.State {
	case inventory.Deployed:
		return deployed(ev, a)
	case inventory.Ready:
		a.say("nothing is wrong: it is ready and waits for an order")
		refused(ev, a)
		a.hint("ingot deploy %s --image NAME", m.Name)
	case inventory.Retired:
		a.say("nothing is wrong: it is retired, and nothing is done with it")
	case inventory.Planned:
		if len(ev.Sightings) > 0 {
			return false
		}
		a.say("it was never seen on the wire: no DHCP request of its MACs came")
		a.hint("is it switched on, cabled, in the right VLAN, with network boot enabled?")
	case inventory.Discovered:
		if m.Status.FactsVersion == 0 {
			return false
		}
		a.say("nothing is wrong: it is not approved, so its facts were read and nothing else is done")
		a.hint("ingot machine approve %s", m.Name)
	default:
		return false
	}
	return true
}

// deployed notices a machine that boots from the network before its disk, though it was
// not told to.
func deployed(ev Evidence, a *Answer) bool {
	m := ev.Machine
	if n := ev.scripts(m.Status.PhaseSince); n >= 2 && !m.Spec.NetworkFirst {
		a.say("it is deployed and boots from the network before its disk: it asked %s since and was sent to its disk", times(n))
		a.hint("put its disk before the network in the firmware's boot order")
		return true
	}
	a.say("nothing is wrong: it runs %s, deployed %s", m.Spec.Image, ev.ago(m.Status.PhaseSince))
	return true
}
