package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ingot/hypervisor"
	"ingot/inventory"
)

// job is the work on one machine for one order.
type job struct {
	*Fleet
	m       *inventory.Machine
	started time.Time
	// giveUp ends the job's context: another order stands.
	giveUp func()
	// step is what is being done, for the failure.
	step string
	// sending is when the image began to be sent, told when progress was last stored.
	sending, told time.Time
}

// read takes the machine as it is now.
func (j *job) read(ctx context.Context, id string) (*inventory.Machine, error) {
	err := j.cfg.Store.View(ctx, func(x inventory.Tx) (err error) {
		j.m, err = x.Machine(ctx, id)
		return err
	})
	return j.m, err
}

// edit changes the machine, unless another order stands now, and adds events.
func (j *job) edit(ctx context.Context, f func(*inventory.Machine), events ...inventory.Payload) error {
	return j.cfg.Store.Update(ctx, func(x inventory.Tx) error {
		m, err := x.Machine(ctx, j.m.ID)
		if err != nil {
			return err
		}
		if m.Spec.Generation != j.m.Spec.Generation {
			return inventory.Conflict("order %d stands for machine %s now, this was for %d", m.Spec.Generation, m.Name, j.m.Spec.Generation)
		}
		f(m)
		m.Updated, m.Status.Beat = j.cfg.Now(), j.cfg.Now()
		if err := x.PutMachine(ctx, m); err != nil {
			return err
		}
		for _, p := range events {
			e, err := inventory.NewEvent(m, j.cfg.Now(), p)
			if err == nil {
				_, err = x.AddEvent(ctx, e)
			}
			if err != nil {
				return err
			}
		}
		j.m = m
		return nil
	})
}

// report ends the job.
func (j *job) report(ctx context.Context, failed error) error {
	r := &inventory.Report{Generation: j.m.Spec.Generation, Order: "vm", OK: failed == nil, At: j.cfg.Now(), Duration: j.cfg.Now().Sub(j.started)}
	if failed != nil {
		r.Failure = &inventory.Failure{Step: j.step, Reason: failed.Error(), Since: r.At, Permanent: permanent(failed), Try: advice(failed, j.m)}
	}
	err := j.edit(ctx, func(m *inventory.Machine) { m.Status.Report, m.Status.Progress = r, nil })
	if overtaken(err) {
		return nil
	}
	return err
}

// overtaken reports whether an edit was refused because another order stands, or the
// machine is gone.
func overtaken(err error) bool {
	return errors.Is(err, inventory.ErrConflict) || errors.Is(err, inventory.ErrNotFound)
}

// permanent failures are the same at the next attempt.
func permanent(err error) bool {
	return errors.Is(err, inventory.ErrInvalid) || errors.Is(err, inventory.ErrUnsupported) || errors.Is(err, inventory.ErrDenied)
}

// advice is what to do: the error's own where it has one.
func advice(err error, m *inventory.Machine) string {
	var own interface{ Try() string }
	switch {
	case errors.As(err, &own):
		return own.Try()
	case errors.Is(err, inventory.ErrDenied):
		return fmt.Sprintf("ingot host check %s says which permission is missing", m.Spec.VM.Host)
	case errors.Is(err, inventory.ErrNotFound):
		return fmt.Sprintf("make what the message names, and it goes on; or ingot vm delete %s", m.Name)
	case errors.Is(err, inventory.ErrInvalid), errors.Is(err, inventory.ErrUnsupported):
		return fmt.Sprintf("ingot vm delete %s, and create it with what the host can do", m.Name)
	}
	if m.Spec.VM.Host == inventory.AnyHost {
		return "ingot host list shows the hosts; make room at one, open one, or add one (ingot host add NAME URL), and it goes on"
	}
	return fmt.Sprintf("ingot host check %s", m.Spec.VM.Host)
}

// progressEvery bounds how often progress is stored.
const progressEvery = 500 * time.Millisecond

// progress notes how far the image is.
func (j *job) progress(ctx context.Context) func(hypervisor.Progress) {
	return func(p hypervisor.Progress) {
		now := j.cfg.Now()
		if j.sending.IsZero() {
			j.sending = now
		}
		if now.Sub(j.told) < progressEvery {
			return
		}
		j.told = now
		rate := float64(p.Bytes) / max(now.Sub(j.sending), time.Millisecond).Seconds()
		progress := &inventory.Progress{Step: "image", Bytes: p.Bytes, TotalBytes: p.TotalBytes, WireBytes: p.Bytes, BytesPerSec: rate, At: now}
		if rate > 0 {
			progress.ETA = time.Duration(float64(p.TotalBytes-p.Bytes) / rate * float64(time.Second)).Round(time.Second)
		}
		err := j.edit(ctx, func(m *inventory.Machine) { m.Status.Progress = progress })
		switch {
		case overtaken(err):
			j.giveUp()
		case err != nil && ctx.Err() == nil:
			j.log.Warn("store progress", "machine", j.m.Name, "err", err)
		}
	}
}
