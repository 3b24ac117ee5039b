package why

import (
	"fmt"
	"slices"
	"time"

	"ingot/inventory"
)

// DefaultSilent is how long an agent may be without a beat.
const DefaultSilent = 20 * time.Second

// freshPanic is how long a panic is the answer when nothing was seen since.
const freshPanic = 15 * time.Minute

// died: the agent's kernel or the agent itself ended in a panic, and has not booted
// since.
func died(ev Evidence, a *Answer) bool {
	p, at, ok := ev.panic()
	state := ev.Machine.Status.State
	if !ok || state == inventory.Deployed || state == inventory.Retired || ev.Now.Sub(at) > freshPanic {
		return false
	}
	a.say("the agent's environment died %s: %s", ev.ago(at), p.Line)
	a.hint("ingot machine log %s has the kernel's last messages", ev.Machine.Name)
	return true
}

// panic is the first one since the machine last booted: what follows it is its echo.
func (ev Evidence) panic() (p inventory.AgentPanic, at time.Time, ok bool) {
	begun := ev.begun()
	i := slices.IndexFunc(ev.Events, func(e inventory.Event) bool { return e.Kind == inventory.EventAgentPanic && !e.Time.Before(begun) })
	if i < 0 {
		return p, at, false
	}
	return last[inventory.AgentPanic](ev.Events[:i+1])
}

// agentWork: an agent is up, or was, and nothing has booted since.
func agentWork(ev Evidence, a *Answer) bool {
	if ev.Machine.Status.Agent != nil {
		return alive(ev, a)
	}
	lost, at, ok := last[inventory.AgentLost](ev.Events)
	if !ok || ev.Machine.Status.Phase == inventory.PhaseFirstBoot || ev.begun().After(at) {
		return false
	}
	if _, ordered, given := last[inventory.Ordered](ev.Events); given && ordered.After(at) {
		return false
	}
	if !lost.Beat.IsZero() {
		at = lost.Beat
	}
	a.say("agent has had no beat for %s in phase %s, at %d %%%s", span(ev.Now.Sub(at)), lost.Phase, lost.Percent, lastWords(lost.LastLog))
	a.say("it has not asked to boot since; the order stands, and goes on when the machine boots the agent again")
	a.hint("is it on, and its cable in? Look at its console; switch it off and on")
	return true
}

func lastWords(line string) string {
	if line == "" {
		return ""
	}
	return "; its last log line: " + line
}

// alive: an agent has a session; is it heard, and what does it do?
func alive(ev Evidence, a *Answer) bool {
	s := ev.Machine.Status
	silence := ev.Now.Sub(s.Beat)
	if silence <= ev.Silent {
		works(ev, a)
		return true
	}
	if ev.begun().After(s.Beat) {
		return false
	}
	if s.Phase == inventory.PhaseReboot {
		a.say("nothing is wrong so far: the image is written, and the agent left %s to boot the disk", ev.ago(s.Beat))
		return true
	}
	a.say("agent has had no beat for %s %s%s", span(silence), place(s), lastWords(s.Agent.LastLog))
	a.hint("is it on, and its cable in? Look at its console")
	return true
}

// place is where a machine is, with its progress if there is some.
func place(s inventory.Status) string {
	where := "in phase " + string(s.Phase)
	if s.Phase == "" {
		where = "while " + string(s.State)
	}
	if s.Progress != nil {
		where += fmt.Sprintf(", at %d %%", s.Progress.Percent())
	}
	return where
}

// works tells what an agent that is heard is doing.
func works(ev Evidence, a *Answer) {
	s := ev.Machine.Status
	switch {
	case s.Progress != nil:
		a.say("nothing is wrong: it is at %d %% of %s, %s/s, %s left", s.Progress.Percent(), s.Progress.Step,
			inventory.FormatBytes(int64(s.Progress.BytesPerSec)), span(s.Progress.ETA))
	case s.Phase == inventory.PhaseReboot:
		a.say("nothing is wrong: the image is written and the agent was told to reboot")
	default:
		a.say("nothing is wrong: its agent is up and was heard %s, %s", ev.ago(s.Beat), place(s))
	}
	refused(ev, a)
}
