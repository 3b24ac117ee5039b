package daemon

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"ingot/inventory"
	"ingot/pxe/bootsets"
)

// suspect follows the events after seq, and looks each minute whether machines that boot
// the current set come up.
func (d *Daemon) suspect(ctx context.Context, seq int64) error {
	s := &bootsets.Suspicion{Store: d.sets.Keeper.Store, Limit: d.cfg.Limits.Boot, Now: d.now, Tell: d.tell}
	events := make(chan inventory.Event)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return ended(ctx, d.store.Follow(ctx, seq, func(e inventory.Event) error {
			select {
			case events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}))
	})
	g.Go(func() error {
		tick := time.NewTicker(time.Minute)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case e := <-events:
				s.See(e)
			case <-tick.C:
				if err := s.Check(ctx); err != nil && ctx.Err() == nil {
					d.log.Error("look at boots of the current set", "err", err)
				}
			}
		}
	})
	return g.Wait()
}
