package lifecycle

import (
	"fmt"
	"time"

	"ingot/inventory"
)

// decide returns the next step of a machine, nil when it is at rest.
func (l *Lifecycle) decide(m *inventory.Machine) action {
	if m.Status.Hold != "" || m.Status.Conflict != "" {
		return nil
	}
	switch m.Status.State {
	case inventory.Planned, inventory.Discovered:
		if m.Spec.Approved && m.Status.State == inventory.Discovered {
			return func(c *change) { c.apply(inventory.TriggerApprove) }
		}
	case inventory.Inspecting:
		return l.inspecting(m)
	case inventory.Deploying:
		return l.deploying(m)
	case inventory.Releasing:
		return l.working(m, inventory.PhaseWipe, wiped)
	case inventory.Rescue:
		if m.Status.Phase == inventory.PhaseBoot && l.agentAlive(m) {
			return func(c *change) { c.phase("") }
		}
	}
	return nil
}

// wiped ends a release; a VM that was to go goes.
func wiped(c *change) {
	c.apply(inventory.TriggerWiped)
	c.m.Status.ImageDigest = ""
	c.gone = c.m.Spec.VM != nil && c.m.Spec.VM.Remove
}

func (l *Lifecycle) agentAlive(m *inventory.Machine) bool {
	return m.Status.Agent != nil && l.Now().Sub(m.Status.Beat) < l.Limits.Silent && !m.Status.Agent.Since.After(l.Now())
}

func (l *Lifecycle) inspecting(m *inventory.Machine) action {
	if a := m.Status.Agent; a != nil && l.agentAlive(m) && !a.FactsAt.IsZero() && !a.FactsAt.Before(m.Status.PhaseSince.Add(-l.Limits.Silent)) {
		return func(c *change) { c.recovered(); c.apply(inventory.TriggerInspected) }
	}
	return l.lost(m)
}

// deploying walks prepare → boot → write → reboot → first boot → deployed.
func (l *Lifecycle) deploying(m *inventory.Machine) action {
	if p := m.Status.PhoneHome; p != nil && p.Generation == m.Spec.Generation && afterWrite(m.Status.Phase) {
		return func(c *change) {
			c.recovered()
			c.apply(inventory.TriggerPhoneHome)
			c.m.Status.ImageDigest = c.m.Spec.ImageDigest
			c.m.Status.Agent = nil
			c.add(inventory.PhonedHome{InstanceID: p.InstanceID, Address: p.Address})
		}
	}
	switch m.Status.Phase {
	case inventory.PhasePrepare:
		return func(c *change) { c.phase(inventory.PhaseBoot) }
	case inventory.PhaseBoot, inventory.PhaseWrite:
		if l.unclaimed(m) {
			return l.windowClosed(m)
		}
		return l.working(m, inventory.PhaseWrite, func(c *change) { c.phase(inventory.PhaseReboot) })
	case inventory.PhaseReboot:
		return l.rebooting(m)
	case inventory.PhaseFirstBoot:
		return l.overdue(m, l.Limits.FirstBoot, "the installed system has not phoned home",
			"look at its console; does its disk come before the network in the boot order, and does it get an address?")
	}
	return nil
}

// unclaimed reports whether the window in which an agent may take this order has closed
// without one.
func (l *Lifecycle) unclaimed(m *inventory.Machine) bool {
	s := m.Status
	claimed := s.Claim != nil && s.Claim.Generation == m.Spec.Generation
	worked := s.Report != nil || s.Tries > 0
	return m.Kind == inventory.KindMetal && !claimed && !worked && !s.OrderedAt.IsZero() && l.Now().Sub(s.OrderedAt) > l.Limits.Claim
}

func (l *Lifecycle) windowClosed(m *inventory.Machine) action {
	f := inventory.Failure{Step: string(m.Status.Phase), Permanent: true, Since: l.Now(),
		Reason: fmt.Sprintf("no agent of this machine took the order within %s", l.Limits.Claim),
		Try:    "order it again when the machine is about to boot"}
	if e := m.Status.Error; e != nil && e.Permanent && e.Reason == f.Reason {
		return nil
	}
	return func(c *change) {
		if c.m.Status.Phase == inventory.PhaseWrite {
			c.phase(inventory.PhaseBoot)
		}
		c.fail(f)
	}
}

func afterWrite(p inventory.Phase) bool {
	return p == inventory.PhaseReboot || p == inventory.PhaseFirstBoot
}

// working is a phase that the agent carries out and reports.
func (l *Lifecycle) working(m *inventory.Machine, work inventory.Phase, done action) action {
	if r := m.Status.Report; r != nil && r.Generation == m.Spec.Generation {
		if r.OK {
			return func(c *change) { c.recovered(); done(c) }
		}
		return l.reported(m, r, work)
	}
	if l.agentAlive(m) && m.Status.Phase == inventory.PhaseBoot && !l.spent(m) {
		return func(c *change) { c.again(work, c.m.Status.Tries) }
	}
	return l.lost(m)
}

// spent reports whether this order had all its attempts.
func (l *Lifecycle) spent(m *inventory.Machine) bool { return m.Status.Tries >= l.Limits.Tries }

// reported deals with a failed report: a permanent one stands until a new order, others
// are tried again after a pause that doubles. On metal the last try's failure is permanent;
// a VM's host may be away for longer, and a further try costs nothing.
func (l *Lifecycle) reported(m *inventory.Machine, r *inventory.Report, work inventory.Phase) action {
	f := inventory.Failure{Step: string(work), Reason: "the agent gave no reason", Since: r.At}
	if r.Failure != nil {
		f = *r.Failure
		f.Since = r.At
	}
	if !f.Permanent && m.Kind != inventory.KindVM && m.Status.Tries+1 >= l.Limits.Tries {
		f.Permanent = true
		f.Try = fmt.Sprintf("failed %d times; find the cause, then order it again", l.Limits.Tries)
	}
	standing := m.Status.Error != nil && m.Status.Error.Since.Equal(r.At)
	if !standing {
		return func(c *change) { c.fail(f) }
	}
	if f.Permanent || l.Now().Before(r.At.Add(l.Limits.Retry<<min(m.Status.Tries, 6))) {
		return nil
	}
	return func(c *change) {
		c.again(retried(m, work), c.m.Status.Tries+1)
		c.m.Status.Report = nil
	}
}

// retried is the phase that a failed piece of work begins again in. A VM is written by its
// host while it is made.
func retried(m *inventory.Machine, work inventory.Phase) inventory.Phase {
	if m.Kind == inventory.KindVM && work == inventory.PhaseWrite {
		return inventory.PhaseBoot
	}
	return work
}

// lost notices that the agent fell silent in the middle of work: back to waiting for a
// boot. The order still stands, so the machine goes on when it is back; one that falls
// silent in every attempt is given up.
func (l *Lifecycle) lost(m *inventory.Machine) action {
	if l.agentAlive(m) {
		return nil
	}
	if m.Status.Phase == inventory.PhaseWrite || (m.Status.Phase == inventory.PhaseWipe && m.Status.Agent != nil) {
		return func(c *change) {
			lost := inventory.AgentLost{Phase: c.m.Status.Phase, Beat: c.m.Status.Beat}
			if a := c.m.Status.Agent; a != nil {
				lost.LastLog = a.LastLog
			}
			if p := c.m.Status.Progress; p != nil {
				lost.Percent = p.Percent()
			}
			c.add(lost)
			if c.m.Status.Phase == inventory.PhaseWrite {
				c.again(inventory.PhaseBoot, c.m.Status.Tries+1)
			}
			if l.spent(c.m) {
				c.fail(inventory.Failure{Step: string(inventory.PhaseWrite), Permanent: true, Since: c.now,
					Reason: fmt.Sprintf("the agent fell silent in the middle of the work %d times", c.m.Status.Tries),
					Try:    "look at its last log lines (ingot machine log), and at power and cooling; then order it again"})
			}
			c.m.Status.Agent = nil
		}
	}
	if m.Kind == inventory.KindVM && m.Spec.VM != nil {
		return l.overdue(m, l.Limits.Boot, "nothing was heard of the work at its host", "ingot host check "+m.Spec.VM.Host)
	}
	return l.overdue(m, l.Limits.Boot, "the machine has not booted the agent",
		"switch it off and on, and let it boot from the network (ingot why tells what was seen)")
}

// rebooting waits until the agent is gone.
func (l *Lifecycle) rebooting(m *inventory.Machine) action {
	if l.agentAlive(m) {
		return l.overdue(m, l.Limits.Leave, "the agent was told to reboot and is still there", "switch the machine off and on")
	}
	return func(c *change) {
		c.m.Status.Agent = nil
		c.phase(inventory.PhaseFirstBoot)
		if c.m.Status.FirstBootNone {
			c.apply(inventory.TriggerPhoneHome)
			c.m.Status.ImageDigest = c.m.Spec.ImageDigest
		}
	}
}

func (l *Lifecycle) overdue(m *inventory.Machine, limit time.Duration, reason, try string) action {
	since := m.Status.PhaseSince
	if m.Status.Beat.After(since) {
		since = m.Status.Beat
	}
	if l.Now().Sub(since) < limit || m.Status.Error != nil {
		return nil
	}
	f := inventory.Failure{Step: string(m.Status.Phase), Reason: reason, Since: l.Now(), Try: try}
	return func(c *change) { c.fail(f) }
}
