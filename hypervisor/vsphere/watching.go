package vsphere

import (
	"context"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// watched is an object and the properties of it that are waited on.
type watched struct {
	object types.ManagedObjectReference
	paths  []string
}

// watch hands each change of the objects to f until f returns true or ctx ends. The first
// updates are the properties as they are. A collector that was lost with its session is
// made anew, and f sees all properties again.
func (d *Driver) watch(ctx context.Context, objects []watched, f func(types.ObjectUpdate) bool) error {
	var spec types.PropertyFilterSpec
	kinds := map[string]bool{}
	for _, o := range objects {
		spec.ObjectSet = append(spec.ObjectSet, types.ObjectSpec{Obj: o.object})
		if !kinds[o.object.Type] {
			kinds[o.object.Type] = true
			spec.PropSet = append(spec.PropSet, types.PropertySpec{Type: o.object.Type, PathSet: o.paths})
		}
	}
	for try := 0; ; try++ {
		logins := d.session.logins.Load()
		err := d.collect(ctx, spec, f)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil || try >= rewaits || d.session.logins.Load() == logins {
			return err
		}
	}
}

// collect is watch with one collector.
func (d *Driver) collect(ctx context.Context, spec types.PropertyFilterSpec, f func(types.ObjectUpdate) bool) error {
	return d.collectAll(ctx, spec, func() {}, f)
}

// collectAll calls settled after the properties as they are were handed over.
func (d *Driver) collectAll(ctx context.Context, spec types.PropertyFilterSpec, settled func(), f func(types.ObjectUpdate) bool) error {
	made, err := methods.CreatePropertyCollector(ctx, d.client, &types.CreatePropertyCollector{This: d.client.ServiceContent.PropertyCollector})
	if err != nil {
		return err
	}
	collector := made.Returnval
	defer func() {
		long, cancel := linger(ctx)
		defer cancel()
		_, _ = methods.DestroyPropertyCollector(long, d.session.soap, &types.DestroyPropertyCollector{This: collector})
	}()
	if _, err := methods.CreateFilter(ctx, d.client, &types.CreateFilter{This: collector, Spec: spec}); err != nil {
		return err
	}
	wait := types.WaitForUpdatesEx{This: collector, Options: &types.WaitOptions{MaxWaitSeconds: types.NewInt32(pollTime)}}
	for {
		res, err := methods.WaitForUpdatesEx(ctx, d.client, &wait)
		if err != nil {
			return err
		}
		if res.Returnval == nil {
			continue
		}
		wait.Version = res.Returnval.Version
		for _, filter := range res.Returnval.FilterSet {
			for _, update := range filter.ObjectSet {
				if f(update) {
					return nil
				}
			}
		}
		if res.Returnval.Truncated == nil || !*res.Returnval.Truncated {
			settled()
		}
	}
}
