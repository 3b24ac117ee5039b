package lifecycle

import (
	"context"
	"fmt"

	"ingot/inventory"
)

// edit changes one machine in a transaction and wakes the loop.
func (l *Lifecycle) edit(ctx context.Context, name string, f func(*change) error) (*inventory.Machine, error) {
	var m *inventory.Machine
	err := l.Store.Update(ctx, func(x inventory.Tx) error {
		found, err := x.Machine(ctx, name)
		if err != nil {
			return err
		}
		m = found
		c := &change{ctx: ctx, x: x, m: m, now: l.Now()}
		if err := f(c); err != nil {
			return err
		}
		return c.store()
	})
	l.Wake()
	return m, err
}

// Approve lets Ingot act on a machine that was discovered.
func (l *Lifecycle) Approve(ctx context.Context, name, by string) (*inventory.Machine, error) {
	return l.edit(ctx, name, func(c *change) error {
		if c.m.Spec.Approved {
			return nil
		}
		c.m.Spec.Approved = true
		c.add(inventory.Ordered{Order: "approve", Generation: c.m.Spec.Generation, By: by})
		return nil
	})
}

// Release wipes a machine and puts it back among the ready ones.
func (l *Lifecycle) Release(ctx context.Context, name, by string) (*inventory.Machine, error) {
	return l.edit(ctx, name, func(c *change) error {
		if err := mayWrite(c.m); err != nil {
			return err
		}
		c.m.Spec.Generation++
		c.m.Status.Report, c.m.Status.PhoneHome, c.m.Status.OrderedAt = nil, nil, c.now
		c.m.Spec.Image, c.m.Spec.ImageDigest, c.m.Spec.UserData = "", "", []byte{}
		c.add(inventory.Ordered{Order: "release", Generation: c.m.Spec.Generation, By: by})
		c.apply(inventory.TriggerRelease)
		return c.err
	})
}

// Trigger carries out a transition that needs nothing else: retire, revive, rescue,
// return, inspect. They are about the agent, which VMs boot without.
func (l *Lifecycle) Trigger(ctx context.Context, name string, t inventory.Trigger, by string) (*inventory.Machine, error) {
	return l.edit(ctx, name, func(c *change) error {
		if c.m.Status.Locked {
			return mayWrite(c.m)
		}
		if c.m.Kind == inventory.KindVM {
			return fmt.Errorf("%s %s: it is a VM, and that is for metal (ingot vm --help): %w", t, c.m.Name, inventory.ErrUnsupported)
		}
		c.add(inventory.Ordered{Order: string(t), Generation: c.m.Spec.Generation, By: by})
		c.apply(t)
		return c.err
	})
}

// Delete takes a machine out of the inventory; its disks stay as they are. A VM that its
// host has would run on with nobody knowing, so it is removed first; one whose host does
// not answer that can be deleted.
func (l *Lifecycle) Delete(ctx context.Context, name string) error {
	return l.Store.Update(ctx, func(x inventory.Tx) error {
		m, err := x.Machine(ctx, name)
		if err != nil {
			return err
		}
		if m.Status.Locked {
			return mayWrite(m)
		}
		if atHost(m) && (m.Status.State != inventory.Releasing || m.Status.Error == nil) {
			return fmt.Errorf("machine %s is a VM on host %s: ingot vm delete %s (and should that host be gone for good, this after it): %w", m.Name, m.Spec.VM.Host, m.Name, inventory.ErrBusy)
		}
		e, err := inventory.NewEvent(m, l.Now(), inventory.Deleted{})
		if err != nil {
			return err
		}
		if _, err := x.AddEvent(ctx, e); err != nil {
			return err
		}
		return x.DeleteMachine(ctx, m.ID)
	})
}

// atHost reports whether a host has something of a VM, is making it, or takes it away.
func atHost(m *inventory.Machine) bool {
	return m.Spec.VM != nil && m.Spec.VM.Host != inventory.AnyHost && (m.Status.VM != nil || m.Status.State == inventory.Deploying || m.Status.State == inventory.Releasing)
}
