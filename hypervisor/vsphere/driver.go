package vsphere

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"

	"ingot/hypervisor"
)

// Driver is a hypervisor.Driver for one cluster or host.
type Driver struct {
	config  Config
	target  target
	log     *slog.Logger
	client  *vim25.Client
	session *session
	place   place
	can     hypervisor.Capabilities
	// views are the session's container views, by folder and kind.
	views sync.Map
	// uploads has one turn for each digest that is being sent.
	uploads hypervisor.Turns
	// stop ends what runs beside, idle waits for it.
	stop context.CancelFunc
	idle sync.WaitGroup
}

var (
	_ hypervisor.Driver      = (*Driver)(nil)
	_ hypervisor.Snapshotter = (*Driver)(nil)
	_ hypervisor.Resizer     = (*Driver)(nil)
	_ hypervisor.Watcher     = (*Driver)(nil)
	_ hypervisor.Adopter     = (*Driver)(nil)
)

// Open logs in and finds the place to work.
func Open(ctx context.Context, c Config) (*Driver, error) {
	c, t, err := c.parse()
	if err != nil {
		return nil, err
	}
	client, err := dialled(ctx, c, t)
	if err != nil {
		return nil, err
	}
	s, err := logIn(ctx, client, c, t)
	if err != nil {
		return nil, err
	}
	return settle(ctx, client, s, c, t)
}

// settle finds the place to work of a client that is logged in, or logs it out.
func settle(ctx context.Context, client *vim25.Client, s *session, c Config, t target) (*Driver, error) {
	d := &Driver{config: c, target: t, log: c.Log.With("server", t.sdk.Host), client: client, session: s}
	if err := d.locate(ctx, t); err != nil {
		return nil, errors.Join(err, s.logout())
	}
	d.can = d.ask(ctx)
	beside, stop := context.WithCancel(context.Background())
	d.stop = stop
	d.idle.Go(func() { s.keep(beside, client) })
	return d, nil
}

// Close implements hypervisor.Driver.
func (d *Driver) Close() error {
	d.stop()
	d.idle.Wait()
	return d.session.logout()
}

// Capabilities implements hypervisor.Driver.
func (d *Driver) Capabilities() hypervisor.Capabilities { return d.can }

// ask fills in what the host can do.
func (d *Driver) ask(ctx context.Context) hypervisor.Capabilities {
	about := d.client.ServiceContent.About
	can := hypervisor.Capabilities{Product: about.Name, Version: about.Version, Accelerated: true, BIOS: true, UEFI: true, SecureBoot: true,
		TPM: d.hasKeyProvider(ctx), LinkedClones: d.client.IsVC(), GrowRunning: true}
	if s := d.place.compute.Summary; s != nil {
		sum := s.GetComputeResourceSummary()
		can.CPUs, can.MemoryBytes, can.FreeMemoryBytes = int(sum.NumCpuThreads), sum.TotalMemory, d.freeMemory(ctx)
	}
	return can
}

// freeMemory is what the hosts have left; 0 when they don't tell.
func (d *Driver) freeMemory(ctx context.Context) int64 {
	var hosts []mo.HostSystem
	if d.objects(ctx, d.place.compute.Host, "HostSystem", []string{"summary.hardware.memorySize", "summary.quickStats.overallMemoryUsage"}, &hosts) != nil {
		return 0
	}
	var free int64
	for _, h := range hosts {
		if h.Summary.Hardware != nil {
			free += h.Summary.Hardware.MemorySize - int64(h.Summary.QuickStats.OverallMemoryUsage)<<20
		}
	}
	return free
}
