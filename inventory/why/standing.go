package why

import (
	"fmt"
	"strings"

	"ingot/inventory"
)

// conflict: identities contradict.
func conflict(ev Evidence, a *Answer) bool {
	m := ev.Machine
	if m.Status.Conflict == "" {
		return false
	}
	a.say("identity conflict, so nothing is done: " + m.Status.Conflict)
	a.hint(fmt.Sprintf("if the board or NIC was moved on purpose, delete the machine that is wrong, or: ingot machine resume %s", m.Name))
	return true
}

// hold: write orders are stopped.
func hold(ev Evidence, a *Answer) bool {
	m := ev.Machine
	if m.Status.Hold == "" {
		return false
	}
	a.say("on hold, so nothing is written: " + m.Status.Hold)
	a.hint("if its state is right, ingot machine resume " + m.Name)
	return true
}

// standing: a failure stands beside the state.
func standing(ev Evidence, a *Answer) bool {
	e := ev.Machine.Status.Error
	if e == nil {
		return false
	}
	again := "it is tried again"
	if e.Permanent {
		again = "it waits for a new order"
	}
	a.say(fmt.Sprintf("%s failed %s: %s; %s", e.Step, ev.ago(e.Since), e.Reason, again))
	if refused, at, ok := last[inventory.OrderRefused](ev.Events); ok && !at.Before(e.Since) {
		a.say(refused.String())
	}
	if e.Try != "" {
		a.hint(e.Try)
	}
	if waiting(ev) {
		detail := Answer{Known: true}
		if booting(ev, &detail) {
			a.Sentences = append(a.Sentences, detail.Sentences...)
			a.Try = append(a.Try, detail.Try...)
		}
	}
	return true
}

// waiting reports whether the machine is in a phase in which it should boot something.
func waiting(ev Evidence) bool {
	switch ev.Machine.Status.Phase {
	case inventory.PhaseBoot, inventory.PhaseFirstBoot, inventory.PhaseInspect, inventory.PhaseReboot, inventory.PhaseWipe:
		return true
	}
	return false
}

// resting: nothing is wrong.
func resting(ev Evidence, a *Answer) bool {
	m := ev.Machine
	switch m.Status.State {
	case inventory.Deployed:
		if s, ok := loops(ev); ok {
			a.say(s)
			a.hint("put its disk before the network in the firmware's boot order")
			return true
		}
		a.say(fmt.Sprintf("nothing is wrong: it runs %s since %s", m.Spec.Image, ev.ago(m.Status.PhaseSince)))
	case inventory.Ready:
		a.say("nothing is wrong: it is ready and waits for an order")
		a.hint(fmt.Sprintf("ingot deploy %s --image NAME", m.Name))
	case inventory.Retired:
		a.say("it is retired: nothing is done with it")
	case inventory.Planned:
		if len(ev.Sightings) > 0 {
			return false
		}
		a.say("it was never seen on the wire: no DHCP request of its MACs came")
		a.hint("is it switched on, cabled, in the right VLAN, with network boot enabled?")
	case inventory.Discovered:
		if ev.Machine.Status.FactsVersion == 0 {
			return false
		}
		a.say("it is not approved, so its facts were read and nothing else is done")
		a.hint("ingot machine approve " + m.Name)
	default:
		return false
	}
	return true
}

// loops notices a deployed machine that asked the network to boot again.
func loops(ev Evidence) (string, bool) {
	n := 0
	for _, s := range since[inventory.BootScript](ev.Events, ev.Machine.Status.PhaseSince) {
		if s.Answer == inventory.BootDisk {
			n++
		}
	}
	if n < 2 {
		return "", false
	}
	return fmt.Sprintf("it is deployed and boots from the network before its disk: it asked %s since and was sent to its disk", times(int64(n))), true
}

// alarmed: something else claims to be this machine.
func alarmed(ev Evidence, a *Answer) bool {
	alarm, at, ok := last[inventory.AgentAlarm](ev.Events)
	if !ok || ev.Now.Sub(at) > freshAlarm {
		return false
	}
	a.say(fmt.Sprintf("alarm %s: %s (from %s)", ev.ago(at), strings.TrimSpace(alarm.Reason), alarm.Address))
	a.hint("two agents claim to be this machine: find the one that is not, before anything is deployed")
	return true
}
