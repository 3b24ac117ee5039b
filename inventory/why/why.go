// Package why turns recorded evidence into sentences: why is this machine where it is?
// Explain is a pure function. A fault it doesn't know is answered "unknown", with the
// last evidence, never with a guess.
package why

import (
	"context"
	"errors"
	"time"

	"ingot/inventory"
)

// Evidence is all that an answer is made of.
type Evidence struct {
	Now       time.Time
	Machine   *inventory.Machine
	Facts     *inventory.Facts
	Sightings []inventory.Sighting
	// Events are the newest of the machine; Server those of no machine (other DHCP
	// servers, exhausted pools).
	Events []inventory.Event
	Server []inventory.Event
}

// Answer is the result.
type Answer struct {
	Sentences []string
	Known     bool
	Try       []string
}

// gatherEvents is how many of the newest events are looked at.
const gatherEvents = 200

// Gather reads the evidence about a machine.
func Gather(ctx context.Context, x inventory.Tx, name string, now time.Time) (Evidence, error) {
	m, err := x.Machine(ctx, name)
	if err != nil {
		return Evidence{}, err
	}
	ev := Evidence{Now: now, Machine: m}
	if ev.Facts, err = x.Facts(ctx, m.ID, 0); err != nil && !errors.Is(err, inventory.ErrNotFound) {
		return ev, err
	}
	if ev.Sightings, err = x.Sightings(ctx, m.Identity.MACs); err != nil {
		return ev, err
	}
	if ev.Events, err = x.Events(ctx, inventory.EventQuery{Machine: m.ID, Limit: gatherEvents}); err != nil {
		return ev, err
	}
	ev.Server, err = x.Events(ctx, inventory.EventQuery{Limit: gatherEvents, Kinds: []inventory.EventKind{
		inventory.EventOtherDHCP, inventory.EventExhausted, inventory.EventDHCPMode, inventory.EventDeclined}})
	return ev, err
}

// Explain answers.
func Explain(ev Evidence) Answer {
	a := Answer{Known: true}
	s := ev.Machine.Status
	if s.Error != nil {
		a.Sentences = append(a.Sentences, s.Error.Step+" failed: "+s.Error.Reason)
		if s.Error.Try != "" {
			a.Try = append(a.Try, s.Error.Try)
		}
		return a
	}
	a.Sentences = append(a.Sentences, "machine is "+string(s.State))
	return a
}
