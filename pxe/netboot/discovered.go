package netboot

import (
	"context"

	"ingot/inventory"
)

// discovered makes the machine if there is none, and puts the start of the attempt into
// its timeline.
func (r *Recorder) discovered(ctx context.Context, mac inventory.MAC, a *attempt) error {
	if !r.table.Known(mac) {
		if err := r.discover(ctx, mac, a); err != nil {
			return err
		}
	}
	if a.told {
		return nil
	}
	a.told = true
	return r.tellAt(ctx, mac, a.boot.at, a.started())
}

func (r *Recorder) discover(ctx context.Context, mac inventory.MAC, a *attempt) error {
	if r.table.waiting() >= maxDiscovered {
		r.log.Warn("too many machines wait for approval: this one is only counted", "mac", mac, "limit", maxDiscovered)
		return nil
	}
	m := inventory.NewMachine(mac, r.now())
	m.Identity.UUID = a.boot.client.UUID
	m.Identity = m.Identity.Trusted()
	made := false
	err := r.store.Update(ctx, func(x inventory.Tx) error {
		like, err := x.MachinesLike(ctx, m.Identity)
		if err != nil || len(like) > 0 {
			made = false
			return err
		}
		made = true
		if err := x.PutMachine(ctx, m); err != nil {
			return err
		}
		return addEvent(ctx, x, m, r.now(), inventory.Seen{MAC: mac, By: "network boot"})
	})
	if err == nil && made {
		r.table.Put(m)
	}
	return err
}
