package lifecycle

import (
	"context"
	"errors"
	"fmt"

	"ingot/inventory"
)

// Create takes a new VM into the inventory and orders its image onto it, in one step. A
// host that is not in the inventory is inventory.ErrNotFound.
func (l *Lifecycle) Create(ctx context.Context, m *inventory.Machine, o DeployOrder) error {
	if err := errors.Join(inventory.CheckName(m.Name), m.Spec.VM.Check(), o.check()); err != nil {
		return err
	}
	err := l.Store.Update(ctx, func(x inventory.Tx) error {
		if host := m.Spec.VM.Host; host != inventory.AnyHost {
			if _, err := x.Host(ctx, host); err != nil {
				return err
			}
		}
		image, err := ResolveImage(ctx, x, o.Image)
		if err != nil {
			return err
		}
		fresh := *m // the transaction may run twice
		c := &change{ctx: ctx, x: x, m: &fresh, now: l.Now()}
		if err := c.checkFit(o, image); err != nil {
			return err
		}
		c.order(o, image)
		if err := c.store(); err != nil {
			return err
		}
		*m = fresh
		return nil
	})
	l.Wake()
	return err
}

// Remove takes a VM away: from its host first, then out of the inventory.
func (l *Lifecycle) Remove(ctx context.Context, name, by string) (*inventory.Machine, error) {
	return l.edit(ctx, name, func(c *change) error {
		if c.m.Kind != inventory.KindVM {
			return fmt.Errorf("machine %s is not a VM (ingot machine delete %s): %w", c.m.Name, c.m.Name, inventory.ErrUnsupported)
		}
		if err := mayWrite(c.m); err != nil {
			return err
		}
		c.m.Spec.VM.Remove = true
		c.m.Spec.Generation++
		c.m.Status.Report, c.m.Status.PhoneHome = nil, nil
		c.add(inventory.Ordered{Order: "remove", Generation: c.m.Spec.Generation, By: by})
		c.apply(inventory.TriggerRelease)
		return c.err
	})
}
