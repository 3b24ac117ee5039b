package netboot

import (
	"time"

	"ingot/inventory"
)

// streakKey names what is counted in a row: DISCOVERs of a client (file ""), or stops of
// one file.
type streakKey struct {
	mac  inventory.MAC
	file string
}

// streak is a count since the client last got further.
type streak struct {
	n, block, sameBlock int64
	since               time.Time
}

// row gives a sighting its place in a streak, or ends the streaks that it is the end of.
func (r *Recorder) row(s *inventory.Sighting) {
	switch s.Kind {
	case inventory.SawDiscover:
		r.longer(streakKey{mac: s.MAC}, s)
	case inventory.SawFileStopped:
		delete(r.streaks, streakKey{mac: s.MAC})
		r.longer(streakKey{s.MAC, s.Detail}, s)
	case inventory.SawFileDone:
		delete(r.streaks, streakKey{mac: s.MAC})
		delete(r.streaks, streakKey{s.MAC, s.Detail})
	case inventory.SawAck, inventory.SawProxyRequest, inventory.SawFileNotFound, inventory.SawFileProbe, inventory.SawScript, inventory.SawAgentHello:
		delete(r.streaks, streakKey{mac: s.MAC})
	}
}

func (r *Recorder) longer(key streakKey, s *inventory.Sighting) {
	k := r.streaks[key]
	if k == nil {
		if len(r.streaks) >= maxPending {
			clear(r.streaks) // a flood: the counts begin anew
		}
		k = &streak{since: s.First}
		r.streaks[key] = k
	}
	if k.block != s.Values.Block {
		k.block, k.sameBlock = s.Values.Block, 0
	}
	k.n += s.Count
	k.sameBlock += s.Count
	s.Values.Streak, s.Values.StreakSince, s.Values.SameBlock = k.n, k.since, k.sameBlock
}
