package why

import (
	"fmt"
	"time"

	"ingot/inventory"
)

// Times from which silence means something.
const (
	freshAlarm  = 10 * time.Minute
	silentAfter = 20 * time.Second
	panicFresh  = 15 * time.Minute
)

// agentWork: an agent is up, or was.
func agentWork(ev Evidence, a *Answer) bool {
	if died(ev, a) {
		return true
	}
	if s := ev.Machine.Status; s.Agent != nil {
		return alive(ev, a)
	}
	if ev.Machine.Status.Phase == inventory.PhaseFirstBoot {
		return false
	}
	lost, at, ok := last[inventory.AgentLost](ev.Events)
	_, up, came := last[inventory.AgentUp](ev.Events)
	if !ok || (came && up.After(at)) || ev.boot().After(at) {
		return false
	}
	a.say(fmt.Sprintf("agent fell silent %s in phase %s, at %d %%; its last log line: %s", ev.ago(at), lost.Phase, lost.Percent, lost.LastLog))
	a.say("it has not asked to boot since: the order stands, and goes on when the machine boots the agent again")
	a.hint("is it switched on? Look at its console; switch it off and on")
	return true
}

// died: the agent's kernel or the agent itself ended in a panic.
func died(ev Evidence, a *Answer) bool {
	p, at, ok := last[inventory.AgentPanic](ev.Events)
	_, up, came := last[inventory.AgentUp](ev.Events)
	if !ok || ev.Now.Sub(at) > panicFresh || (came && up.After(at)) {
		return false
	}
	a.say(fmt.Sprintf("the agent's environment died %s: %s", ev.ago(at), p.Line))
	a.hint("ingot machine log " + ev.Machine.Name + " has the kernel's last messages")
	return true
}

// alive: an agent has a session; is it heard, and what does it do?
func alive(ev Evidence, a *Answer) bool {
	s := ev.Machine.Status
	silence := ev.Now.Sub(s.Beat)
	if silence > silentAfter && ev.boot().After(s.Beat) {
		return false
	}
	step := string(s.Phase)
	if s.Progress != nil {
		step = s.Progress.Step
	}
	if silence > silentAfter {
		a.say(fmt.Sprintf("agent has had no beat for %d s in phase %s, at %d %%; its last log line: %s", int(silence.Seconds()), step, percent(s), s.Agent.LastLog))
		a.hint("is the machine on and its cable in? Look at its console")
		return true
	}
	switch {
	case s.Progress != nil:
		a.say(fmt.Sprintf("nothing is wrong: it is at %d %% of %s, %s/s, %s left", s.Progress.Percent(), step,
			inventory.FormatBytes(int64(s.Progress.BytesPerSec)), s.Progress.ETA))
	case s.Phase == inventory.PhaseReboot:
		a.say("nothing is wrong: the image is written and the agent was told to reboot")
	default:
		a.say(fmt.Sprintf("nothing is wrong: its agent is up and was heard %s (%s)", ev.ago(s.Beat), step))
	}
	return true
}

func percent(s inventory.Status) int {
	if s.Progress == nil {
		return 0
	}
	return s.Progress.Percent()
}
