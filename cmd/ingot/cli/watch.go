package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ingot/inventory"
	"ingot/inventory/api"
)

// watchEvery bounds how often a watched list is shown again.
const watchEvery = 500 * time.Millisecond

// quietEvery is how often it is shown when no event comes (progress has none).
const quietEvery = 2 * time.Second

// watched shows once, or, with watch, again with every event until interrupted.
func (a *app) watched(ctx context.Context, c *api.Client, watch bool, show func(context.Context) error) error {
	if !watch {
		return show(ctx)
	}
	changed := make(chan struct{}, 1)
	done := make(chan error, 1)
	go func() {
		done <- c.Events(ctx, api.EventOptions{Follow: true, Limit: 1}, func(inventory.Event) error {
			select {
			case changed <- struct{}{}:
			default:
			}
			return nil
		})
	}()
	for {
		if isTerminal(a.out) {
			fmt.Fprint(a.out, "\x1b[H\x1b[2J")
		}
		if err := show(ctx); err != nil {
			return err
		}
		quiet := time.NewTimer(quietEvery)
		select {
		case err := <-done:
			quiet.Stop()
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		case <-changed:
		case <-quiet.C:
		}
		quiet.Stop()
		if pause(ctx, watchEvery) != nil {
			return nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
