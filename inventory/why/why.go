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
	// Networks as they are configured.
	Networks []inventory.Network
}

// Answer is the result.
type Answer struct {
	// Sentences answer, the most important first.
	Sentences []string
	// Known is false when the cause is not known.
	Known bool
	// Try says what to do.
	Try []string
}

func (a *Answer) say(s string)  { a.Sentences = append(a.Sentences, s) }
func (a *Answer) hint(s string) { a.Try = append(a.Try, s) }

// gatherEvents is how many of the newest events are looked at.
const gatherEvents = 300

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
	if ev.Networks, err = x.Networks(ctx); err != nil {
		return ev, err
	}
	ev.Server, err = x.Events(ctx, inventory.EventQuery{Limit: gatherEvents, Kinds: []inventory.EventKind{
		inventory.EventOtherDHCP, inventory.EventExhausted, inventory.EventDHCPMode, inventory.EventDeclined}})
	return ev, err
}

// rule looks for one cause; false means that it is not this one.
type rule func(Evidence, *Answer) bool

// Explain answers: the first rule that fits gives the cause.
func Explain(ev Evidence) Answer {
	for _, r := range []rule{conflict, hold, standing, resting, alarmed, agentWork, booting} {
		a := Answer{Known: true}
		if r(ev, &a) {
			return a
		}
	}
	return unknown(ev)
}

// unknown gives the last evidence, and no guess.
func unknown(ev Evidence) Answer {
	a := Answer{Sentences: []string{"unknown: the evidence fits no fault that Ingot knows"}}
	if n := len(ev.Events); n > 0 {
		e := ev.Events[n-1]
		a.say("last event, " + ev.ago(e.Time) + ": " + e.Text())
	}
	var newest inventory.Sighting
	for _, s := range ev.Sightings {
		if s.Last.After(newest.Last) {
			newest = s
		}
	}
	if newest.Kind != "" {
		a.say("last seen on the wire, " + ev.ago(newest.Last) + ": " + string(newest.Kind) + " " + newest.Detail)
	}
	a.hint("look at its console; ingot events " + ev.Machine.Name + " has all that was recorded")
	return a
}
