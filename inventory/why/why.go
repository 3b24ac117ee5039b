// Package why turns recorded evidence into sentences: why is this machine where it is?
// Explain is a pure function. A fault it doesn't know is answered "unknown", with the
// last evidence, never with a guess.
package why

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ingot/inventory"
)

// Answer is the result.
type Answer struct {
	// Sentences answer, the most important first. Where all is well, the first one
	// begins with "nothing is wrong".
	Sentences []string
	// Known is false when the cause is not known.
	Known bool
	// Try says what to do.
	Try []string
}

func (a *Answer) say(format string, args ...any) {
	a.Sentences = append(a.Sentences, fmt.Sprintf(format, args...))
}

func (a *Answer) hint(format string, args ...any) {
	a.Try = append(a.Try, fmt.Sprintf(format, args...))
}

// gatherEvents is how many of the newest events are looked at.
const gatherEvents = 300

// Gather reads the evidence about a machine, given by id, name or MAC. A MAC that was
// seen on the wire and is no machine's has evidence too; one that was never seen is
// ErrNotFound.
func Gather(ctx context.Context, x inventory.Tx, name string, now time.Time) (Evidence, error) {
	m, err := find(ctx, x, name)
	if err != nil {
		return Evidence{}, err
	}
	ev := Evidence{Now: now, Machine: m}
	if ev.Sightings, err = x.Sightings(ctx, m.Identity.MACs); err != nil {
		return ev, err
	}
	if m.ID == "" && len(ev.Sightings) == 0 {
		return ev, inventory.NotFound("machine", name)
	}
	if m.ID != "" {
		if ev.Events, err = x.Events(ctx, inventory.EventQuery{Machine: m.ID, Limit: gatherEvents}); err != nil {
			return ev, err
		}
	}
	ev.Server, err = x.Events(ctx, inventory.EventQuery{Limit: gatherEvents, Kinds: []inventory.EventKind{
		inventory.EventOtherDHCP, inventory.EventExhausted}})
	return ev, err
}

// find returns the machine, or for a MAC of none a machine without id.
func find(ctx context.Context, x inventory.Tx, name string) (*inventory.Machine, error) {
	m, err := x.Machine(ctx, name)
	if !errors.Is(err, inventory.ErrNotFound) {
		return m, err
	}
	mac, bad := inventory.ParseMAC(name)
	if bad != nil {
		return nil, err
	}
	like, failed := x.MachinesLike(ctx, inventory.Identity{MACs: []inventory.MAC{mac}})
	if failed != nil {
		return nil, failed
	}
	if len(like) == 1 {
		return like[0], nil
	}
	return &inventory.Machine{Name: string(mac), Kind: inventory.KindMetal, Identity: inventory.Identity{MACs: []inventory.MAC{mac}},
		Status: inventory.Status{State: inventory.Planned}}, nil
}

// rule looks for one cause; false means that it is not this one.
type rule func(Evidence, *Answer) bool

// first tells the first of the rules that fits.
func first(ev Evidence, a *Answer, rules ...rule) bool {
	for _, r := range rules {
		if r(ev, a) {
			return true
		}
	}
	return false
}

// Explain answers: the first rule that fits gives the cause.
func Explain(ev Evidence) Answer {
	if ev.Silent == 0 {
		ev.Silent = DefaultSilent
	}
	a := Answer{Known: true}
	if first(ev, &a, conflict, hold, alarmed, died, standing, resting, virtual, agentWork, booting) {
		return a
	}
	return unknown(ev)
}

// unknown gives the last evidence, and no guess.
func unknown(ev Evidence) Answer {
	a := Answer{Sentences: []string{"unknown: the evidence fits no fault that Ingot knows"}}
	if n := len(ev.Events); n > 0 {
		e := ev.Events[n-1]
		a.say("last event, %s: %s", ev.ago(e.Time), e.Text())
	}
	if s := ev.newest(); s.Kind != "" {
		what := string(s.Kind)
		if s.Detail != "" {
			what += " " + s.Detail
		}
		a.say("last seen on the wire, %s: %s (%s)", ev.ago(s.Last), what, times(s.Count))
	}
	a.hint("look at its console; ingot events %s has all that was recorded", ev.Machine.Name)
	return a
}
