package lifecycle

import (
	"context"
	"time"

	"ingot/inventory"
)

// action is one decided step.
type action func(*change)

// change collects what one step does to one machine, and its events.
type change struct {
	ctx context.Context
	x   inventory.Tx
	m   *inventory.Machine
	now time.Time
	// dry changes are for looking ahead: nothing is stored.
	dry    bool
	events []inventory.Payload
	// gone takes the machine out of the inventory.
	gone bool
	err  error
}

func (c *change) add(p inventory.Payload) { c.events = append(c.events, p) }

// apply carries out a transition.
func (c *change) apply(t inventory.Trigger) {
	changed, err := c.m.Apply(t, c.now)
	if err != nil {
		c.err = err
		return
	}
	c.add(changed)
}

// phase enters a phase of the same state.
func (c *change) phase(p inventory.Phase) {
	c.recovered()
	c.m.SetPhase(p, c.now)
	c.add(inventory.PhaseChanged{Phase: p})
}

// again enters a phase as a further attempt at the same order.
func (c *change) again(p inventory.Phase, tries int) {
	c.phase(p)
	c.m.Status.Tries = tries
}

func (c *change) recovered() {
	if c.m.Status.Error == nil {
		return
	}
	c.add(inventory.Recovered{Step: c.m.Status.Error.Step})
	c.m.Status.Error = nil
}

// fail puts a failure beside the state. The same failure again is one event.
func (c *change) fail(f inventory.Failure) {
	old := c.m.Status.Error
	if old.Same(f) {
		f.Since = old.Since
		c.m.Status.Error = &f
		return
	}
	c.m.Status.Error = &f
	c.add(inventory.Failed{Failure: f, Attempt: c.m.Status.Tries})
}

func (c *change) store() error {
	if c.err != nil || c.dry {
		return c.err
	}
	c.m.Updated = c.now
	if err := c.x.PutMachine(c.ctx, c.m); err != nil {
		return err
	}
	if c.gone {
		c.add(inventory.Deleted{})
	}
	for _, p := range c.events {
		e, err := inventory.NewEvent(c.m, c.now, p)
		if err != nil {
			return err
		}
		if _, err := c.x.AddEvent(c.ctx, e); err != nil {
			return err
		}
	}
	if c.gone {
		return c.x.DeleteMachine(c.ctx, c.m.ID)
	}
	return nil
}
