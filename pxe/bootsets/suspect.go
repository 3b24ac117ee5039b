package bootsets

import (
	"context"
	"slices"
	"time"

	"ingot/inventory"
	"ingot/pxe/bootfiles"
)

const (
	// suspectAfter is how many machines in a row make a set suspect.
	suspectAfter = 3
	// freshFor is how long after its promotion a set is the first thing to suspect.
	freshFor = 7 * 24 * time.Hour
)

// Suspicion follows what machines do with a set that is current since lately: when the
// last three that fetched its first stage never reached the agent, that is told, once.
// Its fields are set before use; it is for one goroutine.
type Suspicion struct {
	Store *Store
	// Limit is how long a boot may take.
	Limit time.Duration
	Now   func() time.Time
	Tell  func(ctx context.Context, p inventory.Payload) error

	booting map[string]boot     // by machine
	failed  map[string][]string // machines in a row, by set
	told    map[string]bool
}

// boot is a machine that has fetched a first stage and is not heard yet.
type boot struct {
	name, set string
	at        time.Time
}

// See takes in an event.
func (s *Suspicion) See(e inventory.Event) {
	if s.booting == nil {
		s.booting, s.failed, s.told = map[string]boot{}, map[string][]string{}, map[string]bool{}
	}
	if e.Kind != inventory.EventBootFile && e.Kind != inventory.EventAgentUp {
		return
	}
	p, err := e.Decode()
	if err != nil {
		return
	}
	switch p := p.(type) {
	case inventory.BootFile:
		if p.File == bootfiles.FirstStage && p.Outcome == inventory.FileDone && p.Set != "" {
			s.booting[e.Machine] = boot{e.Name, p.Set, e.Time}
		}
	case inventory.AgentUp:
		delete(s.booting, e.Machine)
		delete(s.failed, p.BootSet)
	}
}

// Check counts the boots that took too long, and tells of a set that is suspect.
func (s *Suspicion) Check(ctx context.Context) error {
	for machine, b := range s.booting {
		if s.Now().Sub(b.at) < s.Limit {
			continue
		}
		delete(s.booting, machine)
		if !slices.Contains(s.failed[b.set], b.name) {
			s.failed[b.set] = append(s.failed[b.set], b.name)
		}
	}
	id, err := s.Store.Current()
	if err != nil || s.told[id] || len(s.failed[id]) < suspectAfter {
		return nil // without a current set there is nothing to suspect
	}
	set, err := s.Store.Get(id)
	if err != nil || s.Now().Sub(set.Promoted) > freshFor {
		return err
	}
	p := inventory.BootSetSuspect{Set: id, Kernel: set.Kernel, Machines: slices.Sorted(slices.Values(s.failed[id]))}
	if _, err := s.Store.Before(); err == nil {
		p.Rollback = "ingot agent rollback"
	}
	s.told[id] = true
	return s.Tell(ctx, p)
}
