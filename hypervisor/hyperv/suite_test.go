package hyperv_test

import (
	"context"
	"testing"

	"ingot/hypervisor"
	"ingot/hypervisor/drivertest"
	"ingot/hypervisor/hyperv"
	"ingot/hypervisor/hyperv/sim"
	"ingot/inventory"
)

// changed changes what the suite asks for: machines of generation 2, or fewer seeds.
type changed struct {
	*hyperv.Driver
	uefi bool
}

func (d changed) spec(s hypervisor.Spec) hypervisor.Spec {
	if d.uefi {
		s.Firmware = inventory.FirmwareUEFI
	}
	if raced && s.ID != "m-life" {
		s.Seed = nil
	}
	return s
}

func (d changed) Create(ctx context.Context, s hypervisor.Spec) (hypervisor.VM, error) {
	return d.Driver.Create(ctx, d.spec(s))
}

func (d changed) Plan(ctx context.Context, s hypervisor.Spec) (hypervisor.Plan, error) {
	return d.Driver.Plan(ctx, d.spec(s))
}

// harness is the suite's view of a host. The suite counts up to 60, and a machine's
// creation has some 20 changing cmdlets, so a host is cut in one or two ways.
func harness(t *testing.T, h *sim.Host, uefi bool, cuts ...sim.Cut) drivertest.Harness {
	return drivertest.Harness{
		New: func(t *testing.T, owner string) hypervisor.Driver {
			return changed{opened(t, config(t, h, owner)), uefi}
		},
		Image:  image(t),
		Left:   func(*testing.T) []string { return h.Left() },
		Vanish: func(_ *testing.T, vm hypervisor.VM) { h.Unregister(vm.UUID) },
		Fail: func(_ *testing.T, n int) func() bool {
			return h.Fail((n-1)/len(cuts)+1, cuts[(n-1)%len(cuts)])
		},
	}
}

func TestSuiteBIOS(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, harness(t, sim.New(sim.Options{}), false, sim.Before, sim.After))
}

func TestSuiteUEFI(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, harness(t, sim.New(sim.Options{}), true, sim.Before, sim.After))
}

func TestSuiteLostAnswersOnClientWindows(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, harness(t, sim.New(sim.Options{Client: true, Switches: []string{"Default Switch", "Other"}}), true, sim.Lost))
}

func TestSuiteServer2016(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, harness(t, sim.New(sim.Options{Old: true}), false, sim.Lost))
}
