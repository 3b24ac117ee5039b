package why

import "ingot/inventory"

// virtual: a VM that its host is at work on.
func virtual(ev Evidence, a *Answer) bool {
	m := ev.Machine
	if m.Kind != inventory.KindVM || m.Spec.VM == nil {
		return false
	}
	switch {
	case m.Status.State == inventory.Deploying && m.Status.Phase == inventory.PhaseBoot:
		host := m.Spec.VM.Host
		switch p := m.Status.Progress; {
		case host == inventory.AnyHost:
			a.say("nothing is wrong so far: a host is being chosen since %s", span(ev.Now.Sub(m.Status.PhaseSince)))
		case p != nil && p.Step == "image":
			a.say("nothing is wrong so far: its image is on the way to host %s, %d %% of %s are there", host, p.Percent(), inventory.FormatBytes(p.TotalBytes))
		default:
			a.say("nothing is wrong so far: host %s is making it since %s", host, span(ev.Now.Sub(m.Status.PhaseSince)))
		}
	case m.Status.State == inventory.Releasing:
		a.say("nothing is wrong so far: host %s is deleting it since %s", m.Spec.VM.Host, span(ev.Now.Sub(m.Status.PhaseSince)))
	default:
		return false
	}
	if m.Spec.VM.Host == inventory.AnyHost {
		a.hint("ingot host list, if it takes too long")
		return true
	}
	a.hint("ingot host check %s, if it takes too long", m.Spec.VM.Host)
	return true
}
