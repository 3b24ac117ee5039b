package netboot

import (
	"context"
	"time"

	"ingot/inventory"
)

// scriptServed records what a machine was told.
func (r *Recorder) scriptServed(ctx context.Context, s scriptSeen) error {
	if a := r.attempts[s.mac]; a != nil {
		a.followed, a.last = true, s.at
	}
	r.count(&inventory.Sighting{MAC: s.mac, Kind: inventory.SawScript, Detail: s.name, Count: 1, First: s.at, Last: s.at,
		Values: inventory.SightingValues{Answer: s.script.Answer}})
	a := r.attempts[s.mac]
	if a == nil {
		r.bound()
		a = &attempt{id: newAttemptID(), last: s.at, files: map[string]inventory.FileOutcome{}, told: true}
		r.attempts[s.mac] = a
	}
	if err := r.discovered(ctx, s.mac, a); err != nil {
		return err
	}
	return r.tell(ctx, s.mac, inventory.BootScript{Attempt: a.id, Script: s.name, Answer: s.script.Answer, Why: s.script.Why})
}

// tell puts an event into the machine's timeline.
func (r *Recorder) tell(ctx context.Context, mac inventory.MAC, p inventory.Payload) error {
	return r.tellAt(ctx, mac, r.now(), p)
}

// tellAt is tell for what happened before it was known to matter.
func (r *Recorder) tellAt(ctx context.Context, mac inventory.MAC, at time.Time, p inventory.Payload) error {
	return r.store.Update(ctx, func(x inventory.Tx) error {
		like, err := x.MachinesLike(ctx, inventory.Identity{MACs: []inventory.MAC{mac}})
		if err != nil || len(like) == 0 {
			return err
		}
		return addEvent(ctx, x, like[0], at, p)
	})
}

func addEvent(ctx context.Context, x inventory.Tx, m *inventory.Machine, now time.Time, p inventory.Payload) error {
	e, err := inventory.NewEvent(m, now, p)
	if err != nil {
		return err
	}
	_, err = x.AddEvent(ctx, e)
	return err
}
