package rollout

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"ingot/inventory"
	"ingot/inventory/lifecycle"
	"ingot/inventory/query"
)

// Orders gives a machine another version of its image.
type Orders interface {
	Redeploy(ctx context.Context, name, image, by string) (*inventory.Machine, error)
}

// Runner starts rollouts and takes them on.
type Runner struct {
	Store  inventory.Store
	Orders Orders
	Now    func() time.Time
	Log    *slog.Logger
}

// Order is a rollout as it is asked for.
type Order struct {
	// Image is the reference to bring. Set chooses among the machines that have another
	// version of that image; empty is all of them.
	Image, Set  string
	Batch       int
	Pause       time.Duration
	MaxFailures int
	By          string
}

// Plan says what a rollout would do: no machine is given an order, nothing is stored.
func (r *Runner) Plan(ctx context.Context, o Order) (out inventory.Rollout, err error) {
	err = r.Store.View(ctx, func(x inventory.Tx) error {
		out, err = r.plan(ctx, x, o)
		return err
	})
	return out, err
}

// Start stores a rollout; its first batch goes with the next step. A machine of another
// rollout that is under way is inventory.ErrConflict.
func (r *Runner) Start(ctx context.Context, o Order) (out inventory.Rollout, err error) {
	err = r.Store.Update(ctx, func(x inventory.Tx) error {
		if out, err = r.plan(ctx, x, o); err != nil {
			return err
		}
		if err := x.PutRollout(ctx, out); err != nil {
			return err
		}
		return r.tell(ctx, x, out, fmt.Sprintf("%d machines, %d at a time", out.Count(inventory.RolloutWaiting), out.Batch))
	})
	return out, err
}

func (r *Runner) plan(ctx context.Context, x inventory.Tx, o Order) (inventory.Rollout, error) {
	out := inventory.Rollout{ID: inventory.NewRolloutID(), Image: o.Image, Set: o.Set, Batch: o.Batch, Pause: o.Pause, MaxFailures: o.MaxFailures,
		State: inventory.RolloutRunning, Created: r.Now().UTC(), By: o.By}
	image, err := lifecycle.ResolveImage(ctx, x, o.Image)
	if err != nil {
		return out, err
	}
	out.Digest = image.Digest
	has := func(*inventory.Machine) bool { return true }
	if o.Set != "" {
		set, err := query.Parse(o.Set)
		if err != nil {
			return out, err
		}
		has = set.Has
	}
	all, err := x.Machines(ctx)
	if err != nil {
		return out, err
	}
	for _, m := range all {
		if !has(m) {
			continue
		}
		if one, take := entry(m, image, o.Set != ""); take {
			out.Machines = append(out.Machines, one)
		}
	}
	if err := out.Check(); err != nil {
		return out, err
	}
	if out.Count(inventory.RolloutWaiting) == 0 {
		return out, inventory.Invalid("no machine of the set can get %s: %s is %s (%s)", o.Image, out.Machines[0].Name, out.Machines[0].Step, out.Machines[0].Problem)
	}
	return out, r.alone(ctx, x, out)
}

// entry tells what a rollout does with a machine. One that has nothing to do with the
// image is mentioned only when it was named.
func entry(m *inventory.Machine, image inventory.Image, named bool) (inventory.RolloutMachine, bool) {
	out := inventory.RolloutMachine{ID: m.ID, Name: m.Name, Step: inventory.RolloutSkipped}
	ref, err := inventory.ParseImageRef(m.Spec.Image)
	switch {
	case m.Spec.Image == "" || err != nil:
		out.Problem = "it has no image"
	case ref.Name != image.Name:
		out.Problem = fmt.Sprintf("it has %s: deploy another image by hand", m.Spec.Image)
	case m.Status.ImageDigest == image.Digest && m.Status.State == inventory.Deployed:
		out.Problem, named = "it has this version", true
	case m.Status.Locked:
		out.Problem, named = "it is locked", true
	case m.Status.Hold != "":
		out.Problem, named = "it is on hold: "+m.Status.Hold, true
	case m.Status.State != inventory.Deployed:
		out.Problem, named = fmt.Sprintf("it is %s", m.Status.State), true
	default:
		out.Step, named = inventory.RolloutWaiting, true
	}
	return out, named
}

// alone refuses machines that another rollout is about to touch.
func (r *Runner) alone(ctx context.Context, x inventory.Tx, out inventory.Rollout) error {
	others, err := x.Rollouts(ctx)
	if err != nil {
		return err
	}
	for _, other := range others {
		for _, m := range out.Machines {
			if other.State == inventory.RolloutRunning && m.Step == inventory.RolloutWaiting && other.Has(m.ID) {
				return inventory.Conflict("rollout %s of %s has machine %s as well: wait for its end, or stop it (ingot image rollouts stop %s)", other.ID, other.Image, m.Name, other.ID)
			}
		}
	}
	return nil
}

func (r *Runner) tell(ctx context.Context, x inventory.Tx, o inventory.Rollout, text string) error {
	e, err := inventory.NewEvent(nil, r.Now(), inventory.RolloutMoved{ID: o.ID, Image: o.Image, State: o.State, Text: text})
	if err != nil {
		return err
	}
	_, err = x.AddEvent(ctx, e)
	return err
}
