package hyperv

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
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
