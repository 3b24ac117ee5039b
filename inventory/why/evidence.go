package why

import (
	"slices"
	"time"

	"ingot/inventory"
)

// Evidence is all that an answer is made of.
type Evidence struct {
	Now       time.Time
	Machine   *inventory.Machine
	Sightings []inventory.Sighting
	// Events are the newest of the machine; Server those of no machine (other DHCP
	// servers, exhausted pools).
	Events []inventory.Event
	Server []inventory.Event
	// Silent is how long an agent may be without a beat; 0 means DefaultSilent.
	Silent time.Duration
}

// begun is when the present attempt to boot began: the newest start of a network boot,
// unless an agent came up after it, which ended it well.
func (ev Evidence) begun() time.Time {
	_, boot, _ := last[inventory.BootStarted](ev.Events)
	_, up, came := last[inventory.AgentUp](ev.Events)
	if came && up.After(boot) {
		return up
	}
	return boot
}

// open reports whether a network boot began that no agent ended.
func (ev Evidence) open() bool {
	_, boot, began := last[inventory.BootStarted](ev.Events)
	_, up, came := last[inventory.AgentUp](ev.Events)
	return began && (!came || boot.After(up))
}

// saw returns the newest sighting of a kind that is not older than t.
func (ev Evidence) saw(kind inventory.SightingKind, t time.Time) (newest inventory.Sighting, ok bool) {
	for _, s := range ev.Sightings {
		if s.Kind == kind && !s.Last.Before(t) && (!ok || s.Last.After(newest.Last)) {
			newest, ok = s, true
		}
	}
	return newest, ok
}

// newest is the newest sighting of any kind.
func (ev Evidence) newest() (newest inventory.Sighting) {
	for _, s := range ev.Sightings {
		if s.Last.After(newest.Last) {
			newest = s
		}
	}
	return newest
}

// heard is when the machine was last seen on the wire; zero when never.
func (ev Evidence) heard() time.Time {
	_, boot, _ := last[inventory.BootStarted](ev.Events)
	if at := ev.newest().Last; at.After(boot) {
		return at
	}
	return boot
}

// file is a boot file's transfer and when it ended.
type file struct {
	inventory.BootFile
	at time.Time
}

// fetched are the files that went out whole since t, oldest first.
func (ev Evidence) fetched(t time.Time) []file {
	var out []file
	for _, e := range ev.Events {
		if e.Kind != inventory.EventBootFile || e.Time.Before(t) {
			continue
		}
		if p, err := e.Decode(); err == nil {
			if f, ok := p.(inventory.BootFile); ok && f.Outcome == inventory.FileDone {
				out = append(out, file{f, e.Time})
			}
		}
	}
	return out
}

func has(files []file, name string) bool {
	return slices.ContainsFunc(files, func(f file) bool { return f.File == name })
}

// last returns the newest event of a payload's kind, decoded.
func last[T inventory.Payload](events []inventory.Event) (p T, at time.Time, ok bool) {
	for _, e := range slices.Backward(events) {
		if e.Kind != p.Kind() {
			continue
		}
		if decoded, err := e.Decode(); err == nil {
			if typed, fits := decoded.(T); fits {
				return typed, e.Time, true
			}
		}
	}
	return p, at, false
}

// scripts counts the boot scripts since t that sent the machine to its disk.
func (ev Evidence) scripts(t time.Time) (n int64) {
	for _, e := range ev.Events {
		if e.Kind != inventory.EventBootScript || e.Time.Before(t) {
			continue
		}
		if p, err := e.Decode(); err == nil {
			if s, ok := p.(inventory.BootScript); ok && s.Answer == inventory.BootDisk {
				n++
			}
		}
	}
	return n
}
