package inventory

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Seen: a machine fetched a boot file, or an agent said hello, for the first time.
type Seen struct {
	MAC MAC    `json:"mac,omitempty"`
	By  string `json:"by"`
}

// Kind implements Payload.
func (Seen) Kind() EventKind  { return EventDiscovered }
func (p Seen) String() string { return fmt.Sprintf("discovered by %s (%s)", p.By, p.MAC) }

// StateChanged: a transition of the table.
type StateChanged struct {
	From    State   `json:"from"`
	To      State   `json:"to"`
	Trigger Trigger `json:"trigger"`
}

// Kind implements Payload.
func (StateChanged) Kind() EventKind { return EventState }
func (p StateChanged) String() string {
	return fmt.Sprintf("%s → %s (%s)", p.From, p.To, p.Trigger)
}

// PhaseChanged: the next step within a state. Waiting tells what for.
type PhaseChanged struct {
	Phase   Phase  `json:"phase"`
	Waiting string `json:"waiting,omitempty"`
}

// Kind implements Payload.
func (PhaseChanged) Kind() EventKind { return EventPhase }
func (p PhaseChanged) String() string {
	switch {
	case p.Phase == "":
		return "the agent is up" // rescue has no phase but the wait for it
	case p.Waiting != "":
		return fmt.Sprintf("%s: %s", p.Phase, p.Waiting)
	}
	return string(p.Phase)
}

// Failed: a step failed; Try counts from 1.
type Failed struct {
	Failure
	Attempt int `json:"attempt"`
}

// Kind implements Payload.
func (Failed) Kind() EventKind  { return EventFailed }
func (p Failed) String() string { return fmt.Sprintf("%s failed: %s", p.Step, p.Reason) }

// Recovered: the failure that stood is gone.
type Recovered struct {
	Step string `json:"step"`
}

// Kind implements Payload.
func (Recovered) Kind() EventKind  { return EventRecovered }
func (p Recovered) String() string { return p.Step + " goes on" }

// Conflicted: identities contradict; nothing happens until someone decides.
type Conflicted struct {
	Reason string `json:"reason"`
	MAC    MAC    `json:"mac,omitempty"`
}

// Kind implements Payload.
func (Conflicted) Kind() EventKind  { return EventConflict }
func (p Conflicted) String() string { return "identity conflict: " + p.Reason }

// FactsRead: a version of the facts was stored; Changes are in words.
type FactsRead struct {
	Version int      `json:"version"`
	Changes []string `json:"changes,omitempty"`
	Summary string   `json:"summary,omitempty"`
}

// Kind implements Payload.
func (FactsRead) Kind() EventKind { return EventFacts }
func (p FactsRead) String() string {
	if len(p.Changes) > 0 {
		return fmt.Sprintf("facts %d: %s", p.Version, strings.Join(p.Changes, "; "))
	}
	return fmt.Sprintf("facts %d: %s", p.Version, p.Summary)
}

// Held: write orders stop (or go on, when Reason is empty).
type Held struct {
	Reason string `json:"reason,omitempty"`
}

// Kind implements Payload.
func (Held) Kind() EventKind { return EventHold }
func (p Held) String() string {
	if p.Reason == "" {
		return "hold lifted"
	}
	return "on hold: " + p.Reason
}

// Ordered: someone gave an order, which raised the generation.
type Ordered struct {
	Order      string `json:"order"`
	Generation int64  `json:"generation"`
	Image      string `json:"image,omitempty"`
	By         string `json:"by,omitempty"`
}

// Kind implements Payload.
func (Ordered) Kind() EventKind { return EventOrdered }
func (p Ordered) String() string {
	return strings.TrimSpace(fmt.Sprintf("order %d: %s %s", p.Generation, p.Order, p.Image))
}

// Progressed: a quarter of a long step is done.
type Progressed struct {
	Progress
}

// Kind implements Payload.
func (Progressed) Kind() EventKind { return EventProgress }
func (p Progressed) String() string {
	return fmt.Sprintf("%s %d%% (%s of %s)", p.Step, p.Percent(), FormatBytes(p.Bytes), FormatBytes(p.TotalBytes))
}

// Written: the agent finished a write order.
type Written struct {
	Report
	Image string `json:"image"`
}

// Kind implements Payload.
func (Written) Kind() EventKind { return EventWritten }
func (p Written) String() string {
	return fmt.Sprintf("wrote %s to %s in %s", p.Image, p.Disk, p.Duration.Round(100*time.Millisecond))
}

// PhonedHome: the installed system spoke.
type PhonedHome struct {
	InstanceID string     `json:"instanceId"`
	Address    netip.Addr `json:"address,omitzero"`
}

// Kind implements Payload.
func (PhonedHome) Kind() EventKind  { return EventPhoneHome }
func (p PhonedHome) String() string { return fmt.Sprintf("phone-home from %s", p.Address) }

// Deleted: the machine was taken out of the inventory.
type Deleted struct{}

// Kind implements Payload.
func (Deleted) Kind() EventKind { return EventDeleted }
func (Deleted) String() string  { return "deleted from the inventory" }
