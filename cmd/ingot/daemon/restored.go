package daemon

import (
	"context"
	"fmt"

	"ingot/inventory"
	"ingot/inventory/lifecycle"
)

// checkRestored puts every machine on hold when the database is older than what this
// data directory has seen, so that a restored backup re-images nothing.
func (d *Daemon) checkRestored(ctx context.Context) error {
	seen, err := d.mark.read()
	if err != nil {
		return err
	}
	return d.store.Update(ctx, func(x inventory.Tx) error {
		last, err := x.Events(ctx, inventory.EventQuery{Limit: 1})
		if err != nil {
			return err
		}
		newest := int64(0)
		if len(last) > 0 {
			newest = last[0].Seq
		}
		d.restored = newest < seen
		if d.restored {
			reason := fmt.Sprintf("the database was restored from a backup (it ends at event %d, and %d were recorded)", newest, seen)
			d.log.Error("restored database: all machines are on hold", "newest", newest, "seen", seen)
			if err := lifecycle.HoldAll(ctx, x, d.lifecycle, reason); err != nil {
				return err
			}
		}
		e, err := inventory.NewEvent(nil, d.now(), inventory.ServerStarted{Version: d.version, Restored: d.restored})
		if err != nil {
			return err
		}
		_, err = x.AddEvent(ctx, e)
		return err
	})
}
