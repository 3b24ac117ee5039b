package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ingot/inventory"
	"ingot/inventory/lifecycle"
)

// stepEvery is how often rollouts that run are looked at.
const stepEvery = 2 * time.Second

// Run takes rollouts on until ctx ends.
func (r *Runner) Run(ctx context.Context) error {
	tick := time.NewTicker(stepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := r.Step(ctx); err != nil && ctx.Err() == nil {
			r.Log.Error("take rollouts on", "err", err)
		}
	}
}

// Step looks at all rollouts that run, once.
func (r *Runner) Step(ctx context.Context) error {
	var all []inventory.Rollout
	if err := r.Store.View(ctx, func(x inventory.Tx) (err error) {
		all, err = x.Rollouts(ctx)
		return err
	}); err != nil {
		return err
	}
	var errs []error
	for _, o := range all {
		if o.State == inventory.RolloutRunning {
			errs = append(errs, r.step(ctx, o.ID))
		}
	}
	return errors.Join(errs...)
}

// Stop ends a rollout: machines that wait stay as they are, orders that were given go on.
// One that is over is inventory.ErrConflict.
func (r *Runner) Stop(ctx context.Context, id, by string) (out inventory.Rollout, err error) {
	err = r.Store.Update(ctx, func(x inventory.Tx) error {
		if out, err = x.Rollout(ctx, id); err != nil {
			return err
		}
		if out.State != inventory.RolloutRunning {
			return inventory.Conflict("rollout %s is %s already", id, out.State)
		}
		return r.end(ctx, x, &out, inventory.RolloutStopped, "stopped by "+by)
	})
	return out, err
}

func (r *Runner) end(ctx context.Context, x inventory.Tx, o *inventory.Rollout, state inventory.RolloutState, why string) error {
	o.State, o.Ended = state, r.Now().UTC()
	if state == inventory.RolloutStopped {
		o.Why = why
	}
	return errors.Join(x.PutRollout(ctx, *o), r.tell(ctx, x, *o, why))
}

// step first writes down how the machines fare and then, outside of that transaction,
// gives the orders that are due. A server that dies between an order and its record finds
// the order at the machine.
func (r *Runner) step(ctx context.Context, id string) error {
	var due []inventory.RolloutMachine
	var o inventory.Rollout
	err := r.Store.Update(ctx, func(x inventory.Tx) (err error) {
		due = nil
		if o, err = x.Rollout(ctx, id); err != nil || o.State != inventory.RolloutRunning {
			return err
		}
		if err := r.look(ctx, x, &o); err != nil {
			return err
		}
		due, err = r.decide(ctx, x, &o)
		return err
	})
	if err != nil {
		return fmt.Errorf("rollout %s: %w", id, err)
	}
	for _, m := range due {
		if err := r.order(ctx, o, m); err != nil {
			return fmt.Errorf("rollout %s: machine %s: %w", id, m.Name, err)
		}
	}
	return nil
}

// look brings what is known of each machine up to date.
func (r *Runner) look(ctx context.Context, x inventory.Tx, o *inventory.Rollout) error {
	for i := range o.Machines {
		m := &o.Machines[i]
		if m.Step != inventory.RolloutWaiting && m.Step != inventory.RolloutOrdered {
			continue
		}
		now, err := x.Machine(ctx, m.ID)
		if errors.Is(err, inventory.ErrNotFound) {
			m.Step, m.Problem = inventory.RolloutSkipped, "it is not in the inventory any more"
			continue
		}
		if err != nil {
			return err
		}
		if m.Step == inventory.RolloutWaiting && now.Spec.ImageDigest == o.Digest && !now.Status.OrderedAt.Before(o.Created) {
			m.Step, m.Generation = inventory.RolloutOrdered, now.Spec.Generation
		}
		if m.Step == inventory.RolloutOrdered {
			m.Step, m.Problem = fares(m, now, o.Digest)
		}
	}
	return nil
}

// fares says how far a machine is with the order it was given.
func fares(m *inventory.RolloutMachine, now *inventory.Machine, digest string) (inventory.RolloutStep, string) {
	switch {
	case now.Spec.Generation != m.Generation:
		return inventory.RolloutSkipped, "it was given another order"
	case now.Status.State == inventory.Deployed && now.Status.ImageDigest == digest:
		return inventory.RolloutOK, ""
	case now.Status.Error != nil && now.Status.Error.Permanent:
		return inventory.RolloutFailed, now.Status.Error.Step + ": " + now.Status.Error.Reason
	case now.Status.Hold != "":
		return inventory.RolloutFailed, "on hold: " + now.Status.Hold
	case now.Status.Conflict != "":
		return inventory.RolloutFailed, "conflict: " + now.Status.Conflict
	}
	return inventory.RolloutOrdered, ""
}

// decide ends the rollout, waits, or returns the machines whose turn it is.
func (r *Runner) decide(ctx context.Context, x inventory.Tx, o *inventory.Rollout) ([]inventory.RolloutMachine, error) {
	failed := o.Count(inventory.RolloutFailed)
	if failed > o.MaxFailures {
		return nil, r.end(ctx, x, o, inventory.RolloutStopped, fmt.Sprintf("%d machines failed and %d may", failed, o.MaxFailures))
	}
	if o.Count(inventory.RolloutOrdered) > 0 {
		o.BatchEnd = time.Time{}
		return nil, x.PutRollout(ctx, *o)
	}
	if o.Count(inventory.RolloutWaiting) == 0 {
		return nil, r.end(ctx, x, o, inventory.RolloutDone, fmt.Sprintf("%d machines have it, %d failed, %d were left out",
			o.Count(inventory.RolloutOK), failed, o.Count(inventory.RolloutSkipped)))
	}
	image, err := lifecycle.ResolveImage(ctx, x, o.Image)
	if err != nil && !errors.Is(err, inventory.ErrNotFound) {
		return nil, err
	}
	if image.Digest != o.Digest {
		return nil, r.end(ctx, x, o, inventory.RolloutStopped, o.Image+" is another version now: start another rollout")
	}
	first := o.Count(inventory.RolloutOK)+failed == 0
	if o.BatchEnd.IsZero() && !first {
		o.BatchEnd = r.Now().UTC()
	}
	var due []inventory.RolloutMachine
	if first || !r.Now().Before(o.BatchEnd.Add(o.Pause)) {
		for _, i := range o.Next() {
			due = append(due, o.Machines[i])
		}
	}
	return due, x.PutRollout(ctx, *o)
}

// order gives one machine its order and writes down which it was. An order that is refused
// is that machine's failure.
func (r *Runner) order(ctx context.Context, o inventory.Rollout, m inventory.RolloutMachine) error {
	ordered, err := r.Orders.Redeploy(ctx, m.ID, o.Image, "rollout "+o.ID)
	if err != nil && !refused(err) {
		return err
	}
	return r.Store.Update(ctx, func(x inventory.Tx) error {
		now, again := x.Rollout(ctx, o.ID)
		if again != nil {
			return again
		}
		for i := range now.Machines {
			if now.Machines[i].ID != m.ID {
				continue
			}
			if err != nil {
				now.Machines[i].Step, now.Machines[i].Problem = inventory.RolloutFailed, err.Error()
				continue
			}
			now.Machines[i].Step, now.Machines[i].Generation = inventory.RolloutOrdered, ordered.Spec.Generation
		}
		return x.PutRollout(ctx, now)
	})
}

// refused tells an order that this machine can't take from a failure that passes.
func refused(err error) bool {
	for _, class := range []error{inventory.ErrInvalid, inventory.ErrNotFound, inventory.ErrBusy, inventory.ErrDenied, inventory.ErrUnsupported} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}
