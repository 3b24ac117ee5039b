package lifecycle

import (
	"context"
	"fmt"

	"ingot/inventory"
)

// mayWrite refuses machines whose disks must not be touched now.
func mayWrite(m *inventory.Machine) error {
	switch {
	case m.Status.Locked:
		return fmt.Errorf("machine %s is locked (ingot machine unlock %s): %w", m.Name, m.Name, inventory.ErrBusy)
	case m.Status.Hold != "":
		return fmt.Errorf("machine %s is on hold: %s (ingot machine resume %s): %w", m.Name, m.Status.Hold, m.Name, inventory.ErrBusy)
	case m.Status.Conflict != "":
		return fmt.Errorf("machine %s has an identity conflict: %s: %w", m.Name, m.Status.Conflict, inventory.ErrBusy)
	case !m.Spec.Approved:
		return fmt.Errorf("machine %s is not approved (ingot machine approve %s): %w", m.Name, m.Name, inventory.ErrBusy)
	}
	return nil
}

// Resume lifts a hold or a conflict after a person looked at it.
func (l *Lifecycle) Resume(ctx context.Context, name string) (*inventory.Machine, error) {
	return l.edit(ctx, name, func(c *change) error {
		c.m.Status.Hold, c.m.Status.Conflict = "", ""
		c.add(inventory.Held{})
		return nil
	})
}

// SetLock locks or unlocks a machine.
func (l *Lifecycle) SetLock(ctx context.Context, name string, locked bool) (*inventory.Machine, error) {
	return l.edit(ctx, name, func(c *change) error {
		c.m.Status.Locked = locked
		return nil
	})
}

// HoldAll stops every write order, because the database was restored from a backup.
func HoldAll(ctx context.Context, x inventory.Tx, l *Lifecycle, reason string) error {
	ms, err := x.Machines(ctx)
	if err != nil {
		return err
	}
	for _, m := range ms {
		m.Status.Hold = reason
		c := &change{ctx: ctx, x: x, m: m, now: l.Now()}
		c.add(inventory.Held{Reason: reason})
		if err := c.store(); err != nil {
			return err
		}
	}
	return nil
}
