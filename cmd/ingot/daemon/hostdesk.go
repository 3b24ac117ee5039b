package daemon

import (
	"context"

	"ingot/hypervisor/fleet"
	"ingot/inventory"
	"ingot/inventory/api"
)

// hostDesk answers the API's questions about hosts.
type hostDesk struct{ d *Daemon }

// Check implements rest.Hosts.
func (h hostDesk) Check(ctx context.Context, host string) ([]api.Finding, error) {
	found, err := h.d.fleet.Check(ctx, host)
	out := []api.Finding{}
	for _, f := range found {
		out = append(out, api.Finding{What: f.What, Detail: f.Detail, Level: string(f.Level), Try: f.Try})
	}
	return out, err
}

// Plan implements rest.Hosts.
func (h hostDesk) Plan(ctx context.Context, m *inventory.Machine, image inventory.Image) (api.VMPlan, error) {
	placed, plan, err := h.d.fleet.Plan(ctx, m, image)
	return api.VMPlan{Name: m.Name, Host: placed.Host, Why: placed.Why, Clone: string(plan.Clone), CloneWhy: plan.Why, Steps: plan.Steps, Request: plan.Request}, err
}

// Test implements rest.Hosts.
func (h hostDesk) Test(ctx context.Context, host string, image *inventory.Image, tell func(api.TestStep)) error {
	return h.d.fleet.SelfTest(ctx, host, image, func(s fleet.TestStep) {
		step := api.TestStep{What: s.What, Detail: s.Detail, Secs: s.Took.Seconds()}
		if s.Err != nil {
			step.Error = s.Err.Error()
		}
		tell(step)
	})
}

// Seal implements rest.Hosts.
func (h hostDesk) Seal(host string, secret []byte) ([]byte, error) {
	return h.d.key.Seal(sealPlace(host), secret)
}
