package hyperv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"ingot/hypervisor"
	"ingot/hypervisor/hyperv/powershell"
	"ingot/inventory"
)

// Driver is a hypervisor.Driver for one Hyper-V host.
type Driver struct {
	config Config
	target target
	log    *slog.Logger
	runner powershell.Runner
	paths  paths
	can    hypervisor.Capabilities
	// turns has one for each machine and each image that is worked on.
	turns hypervisor.Turns
}

var (
	_ hypervisor.Driver      = (*Driver)(nil)
	_ hypervisor.Snapshotter = (*Driver)(nil)
	_ hypervisor.Resizer     = (*Driver)(nil)
	_ hypervisor.Watcher     = (*Driver)(nil)
	_ hypervisor.Adopter     = (*Driver)(nil)
)

// Open logs in and finds out what the host can do.
func Open(ctx context.Context, c Config) (*Driver, error) {
	c, t, err := c.parse()
	if err != nil {
		return nil, err
	}
	d, host, err := open(ctx, c, t)
	if err != nil {
		return nil, err
	}
	if err := d.settle(host); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// open logs in and asks; the host may turn out to be of no use.
func open(ctx context.Context, c Config, t target) (*Driver, hostAnswer, error) {
	runner := c.Runner
	if runner == nil {
		var err error
		if runner, err = newRunner(c, t); err != nil {
			return nil, hostAnswer{}, err
		}
	}
	d := &Driver{config: c, target: t, log: c.Log.With("component", "hyperv", "host", t.host), runner: runner}
	host, err := call(ctx, d, askHost, "look at host "+t.host, hostRequest{Storage: c.Storage})
	if err != nil {
		return nil, host, errors.Join(err, d.Close())
	}
	return d, host, nil
}

// settle takes over what the host said.
func (d *Driver) settle(host hostAnswer) error {
	switch {
	case host.Module == "":
		return fmt.Errorf("host %s has no Hyper-V module for PowerShell: %s: %w", d.target.host, tryModule, inventory.ErrUnsupported)
	case host.Fault != "":
		return fmt.Errorf("host %s does not let %s look at Hyper-V (%s): %s: %w", d.target.host, host.User, host.Fault, tryRights, inventory.ErrDenied)
	case host.Storage == "":
		return fmt.Errorf("host %s has no folder for virtual disks: name a storage: %w", d.target.host, inventory.ErrUnsupported)
	}
	storage, err := cleanStorage(host.Storage)
	if err != nil {
		return fmt.Errorf("host %s: %w", d.target.host, err)
	}
	d.paths = newPaths(storage, d.config.Owner)
	d.can = hypervisor.Capabilities{Product: "Hyper-V", Version: cmp.Or(host.Version, host.Module), Accelerated: true, BIOS: true, UEFI: true, SecureBoot: true,
		TPM: host.Tpm, LinkedClones: true, CPUs: host.Processors, MemoryBytes: host.MemoryBytes, FreeMemoryBytes: host.FreeMemoryBytes}
	return nil
}

// Close implements hypervisor.Driver.
func (d *Driver) Close() error { return d.runner.Close() }

// Capabilities implements hypervisor.Driver. Disks on IDE controllers, the root disks of
// machines with BIOS, don't grow while they run, so GrowRunning is false; those of machines
// with UEFI do.
func (d *Driver) Capabilities() hypervisor.Capabilities { return d.can }

// without is a slice without the elements that f tells.
func without[T any](all []T, f func(T) bool) []T { return slices.DeleteFunc(slices.Clone(all), f) }
