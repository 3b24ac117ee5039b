package why

import "ingot/inventory"

// firstBoot: the image is written, and the installed system has not phoned home.
func firstBoot(ev Evidence, a *Answer) bool {
	s := ev.Machine.Status
	if s.Phase != inventory.PhaseFirstBoot {
		return false
	}
	n := ev.scripts(s.PhaseSince)
	switch seen := !ev.newest().Last.Before(s.PhaseSince); {
	case n > 1:
		a.say("the image is written, and since then it asked the network %s and was sent to its disk: the disk does not boot", times(n))
		a.hint("look at its console; does the image boot by this firmware, and is the disk that was written the one that it boots?")
	case s.Error == nil:
		a.say("nothing is wrong so far: the installed system boots since %s, and has not phoned home", span(ev.Now.Sub(s.PhaseSince)))
	case n == 1:
		a.say("the image is written and it was sent to its disk; no phone-home came")
		a.hint("look at its console: does cloud-init run, and can it reach this server?")
	case seen:
		a.say("the image is written, and it was seen on the wire %s (%s); no phone-home came", ev.ago(ev.newest().Last), ev.newest().Kind)
		a.hint("look at its console: does cloud-init run, and can it reach this server?")
	default:
		a.say("the image is written; since then nothing was seen of it on the wire, and no phone-home came")
		a.hint("look at its console: does it boot its disk, and does the installed system get an address?")
	}
	return true
}
