package fleet

import (
	"context"
	"errors"

	"ingot/hypervisor"
	"ingot/inventory"
	"ingot/inventory/seed"
)

// Check looks a host over. One that is connected is asked over its connection; first
// contact is diagnosed, so that what is in the way of it is a finding, and so is a host
// whose network is another one than the driver knows.
func (f *Fleet) Check(ctx context.Context, name string) ([]hypervisor.Finding, error) {
	host, secret, err := f.host(ctx, name)
	if errors.Is(err, errSealed) {
		return []hypervisor.Finding{{What: "secret", Level: hypervisor.Failed, Detail: err.Error(),
			Try: "give it again: ingot host add " + name + " " + host.URL}}, nil
	}
	if err != nil {
		return nil, err
	}
	s := f.slotOf(name)
	if err := s.turn.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	c := s.fits(host, secret)
	if c != nil && c.network == host.Network {
		s.turn.Release(1)
		return c.driver.Check(ctx)
	}
	defer s.turn.Release(1) // one at a time: each logs in
	short, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	found, err := f.cfg.Diagnose(short, host, secret)
	s.refused = nil // a person looked: the next call sees for itself
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && len(found) > 0 {
		err = nil // the time was ours, and what was found says so
	}
	return found, err
}

// Plan tells what making m from an image would do: on which host and why, and how.
func (f *Fleet) Plan(ctx context.Context, m *inventory.Machine, image inventory.Image) (placed inventory.Placed, plan hypervisor.Plan, err error) {
	golden, err := f.cfg.Image(ctx, image)
	if err != nil {
		return placed, plan, err
	}
	if placed, err = f.choose(ctx, m, golden); err != nil {
		return placed, plan, err
	}
	c, err := f.connect(ctx, placed.Host)
	if err != nil {
		return placed, plan, err
	}
	spec, err := specOf(m, c.host, golden)
	if err != nil {
		return placed, plan, err
	}
	if image.FirstBoot != "none" {
		spec.Seed = make([]byte, seed.SizeBytes) // a plan says where it goes, not what is in it
	}
	plan, err = c.driver.Plan(ctx, spec)
	return placed, plan, err
}
