package hyperv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ingot/hypervisor/hyperv/powershell"
	"ingot/inventory"
)

// call runs an operation; doing says what for, in its error.
func call[Q, A any](ctx context.Context, d *Driver, o operation[Q, A], doing string, request Q) (A, error) {
	var answer A
	if err := ctx.Err(); err != nil {
		return answer, err
	}
	document, err := json.Marshal(request)
	if err != nil {
		return answer, fmt.Errorf("%s: write request: %w", doing, err)
	}
	began := d.config.Now()
	told, err := d.runner.Run(ctx, o.script, document)
	d.log.Debug("script", "script", o.script.Name, "took", d.config.Now().Sub(began), "err", err)
	if err != nil {
		return answer, translate(doing, err)
	}
	if err := json.Unmarshal(told, &answer); err != nil {
		return answer, fmt.Errorf("%s: read the answer of script %s: %w", doing, o.script.Name, err)
	}
	return answer, nil
}

// change runs an operation that changes something. It waits while another script of ours is
// at work on the same thing, and tries once more at once what surely did not run.
func change[Q, A any](ctx context.Context, d *Driver, o operation[Q, A], doing string, request Q) (A, error) {
	var answer A
	err := d.patiently(ctx, func() (err error) {
		answer, err = once(ctx, d, o, doing, request)
		return err
	})
	return answer, err
}

// once is change without waiting: for those who must look anew first.
func once[Q, A any](ctx context.Context, d *Driver, o operation[Q, A], doing string, request Q) (A, error) {
	answer, err := call(ctx, d, o, doing, request)
	if errors.Is(err, powershell.ErrNotStarted) && errors.Is(err, inventory.ErrBusy) && ctx.Err() == nil {
		return call(ctx, d, o, doing, request)
	}
	return answer, err
}

// pause waits, or returns the error of a context that ended.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pollsPerLook is how much more often than Watch something under way is looked at.
const pollsPerLook = 5

// until calls f until it is done.
func (d *Driver) until(ctx context.Context, f func() (done bool, err error)) error {
	for {
		done, err := f()
		if done || err != nil {
			return err
		}
		if err := pause(ctx, d.config.Every/pollsPerLook); err != nil {
			return err
		}
	}
}

// patiently does something again while what is in its way is sure to go: a script of ours
// that works on the same thing, or what Hyper-V does in the background. After a while it
// returns that, which is inventory.ErrBusy.
func (d *Driver) patiently(ctx context.Context, f func() error) error {
	end := time.Now().Add(d.config.Patience)
	for {
		err := f()
		if !passing(err) || !time.Now().Before(end) {
			return err
		}
		if stopped := pause(ctx, d.config.Every/pollsPerLook); stopped != nil {
			return fmt.Errorf("%w, while: %w", stopped, err)
		}
	}
}

// inTheWay is what will pass.
type inTheWay struct{ what string }

// Error implements error.
func (e inTheWay) Error() string { return e.what + ": " + inventory.ErrBusy.Error() }

// Unwrap is the class.
func (inTheWay) Unwrap() error { return inventory.ErrBusy }

// passing reports whether what is in the way will pass.
func passing(err error) bool {
	var way inTheWay
	var fault *powershell.Error
	return errors.As(err, &way) || errors.As(err, &fault) && fault.ID == atWork
}
