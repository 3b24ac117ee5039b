package inventory

import (
	"fmt"
	"slices"
	"time"
)

// RolloutState is how far a rollout is.
type RolloutState string

// The states. A stopped one is over: too many machines failed, or somebody stopped it.
const (
	RolloutRunning RolloutState = "running"
	RolloutDone    RolloutState = "done"
	RolloutStopped RolloutState = "stopped"
)

// Rollout brings one version of an image to a set of machines, batch by batch.
type Rollout struct {
	// ID is given at creation ("r-" and 12 hex digits).
	ID string `json:"id"`
	// Image is the reference as it was given, Digest what it meant then.
	Image  string `json:"image"`
	Digest string `json:"digest"`
	// Set is the set as it was given, for people.
	Set string `json:"set"`
	// Batch machines go at a time, with Pause after a batch; more than MaxFailures
	// failures stop it.
	Batch       int           `json:"batch"`
	Pause       time.Duration `json:"pause"`
	MaxFailures int           `json:"maxFailures"`

	State RolloutState `json:"state"`
	// Why it stopped.
	Why      string           `json:"why,omitempty"`
	Machines []RolloutMachine `json:"machines"`
	Created  time.Time        `json:"created"`
	By       string           `json:"by,omitempty"`
	// BatchEnd is when the last batch came to its end, zero while one is under way.
	BatchEnd time.Time `json:"batchEnd,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
}

// RolloutStep is how far a rollout is with one machine.
type RolloutStep string

// The steps. A skipped machine was not touched, or somebody else gave it an order.
const (
	RolloutWaiting RolloutStep = "waiting"
	RolloutOrdered RolloutStep = "deploying"
	RolloutOK      RolloutStep = "deployed"
	RolloutFailed  RolloutStep = "failed"
	RolloutSkipped RolloutStep = "skipped"
)

// RolloutMachine is one machine of a rollout.
type RolloutMachine struct {
	ID   string      `json:"id"`
	Name string      `json:"name"`
	Step RolloutStep `json:"step"`
	// Generation is that of the order it was given.
	Generation int64  `json:"generation,omitempty"`
	Problem    string `json:"problem,omitempty"`
}

// Count is how many machines are at a step.
func (r *Rollout) Count(step RolloutStep) int {
	n := 0
	for _, m := range r.Machines {
		if m.Step == step {
			n++
		}
	}
	return n
}

// Check reports the first thing that is wrong with a new rollout, as ErrInvalid.
func (r *Rollout) Check() error {
	switch {
	case r.Batch < 1:
		return Invalid("batch of %d machines (want 1 or more)", r.Batch)
	case r.MaxFailures < 0:
		return Invalid("at most %d failures (want 0 or more)", r.MaxFailures)
	case r.Pause < 0:
		return Invalid("pause of %s (want 0s or more)", r.Pause)
	case len(r.Machines) == 0 && r.Set == "":
		return Invalid("no machine has the image in another version")
	case len(r.Machines) == 0:
		return Invalid("set %q has no machine", r.Set)
	}
	return nil
}

// Next are the indexes of the machines of the next batch.
func (r *Rollout) Next() []int {
	var next []int
	for i, m := range r.Machines {
		if m.Step == RolloutWaiting && len(next) < r.Batch {
			next = append(next, i)
		}
	}
	return next
}

// Has reports whether a machine is part of it and not yet done with.
func (r *Rollout) Has(id string) bool {
	return slices.ContainsFunc(r.Machines, func(m RolloutMachine) bool {
		return m.ID == id && (m.Step == RolloutWaiting || m.Step == RolloutOrdered)
	})
}

// RolloutMoved: a rollout began, went on, or ended.
type RolloutMoved struct {
	ID    string       `json:"id"`
	Image string       `json:"image"`
	State RolloutState `json:"state"`
	Text  string       `json:"text"`
}

// Kind implements Payload.
func (RolloutMoved) Kind() EventKind { return EventRollout }
func (p RolloutMoved) String() string {
	return fmt.Sprintf("rollout %s of %s is %s: %s", p.ID, p.Image, p.State, p.Text)
}

// NewRolloutID names a rollout.
func NewRolloutID() string { return "r" + newID()[1:] }
