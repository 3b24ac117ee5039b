package fleet

import (
	"context"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Check looks a host over. What stands in the way of a connection is a finding as well.
func (f *Fleet) Check(ctx context.Context, name string) ([]hypervisor.Finding, error) {
	if _, _, err := f.host(ctx, name); err != nil {
		return nil, err
	}
	c, err := f.connect(ctx, name)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return []hypervisor.Finding{{What: "connection", Level: hypervisor.Failed, Detail: err.Error(), Try: "look at the URL (ingot host list) and at what answers there"}}, nil
	}
	return c.driver.Check(ctx)
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
	plan, err = c.driver.Plan(ctx, spec)
	return placed, plan, err
}
