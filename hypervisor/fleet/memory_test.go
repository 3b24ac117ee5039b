package fleet_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"ingot/hypervisor"
	"ingot/inventory"
)

// memoryHost is a hypervisor in memory: enough of one for the contract suite.
type memoryHost struct {
	mu     sync.Mutex
	can    hypervisor.Capabilities
	images map[string]int64
	vms    map[string]*memoryVM
	// calls counts changing calls; failAt fails the one of that number, once.
	calls, failAt int
	failure       error
	sent          int
	// hold is waited for before an image arrives; slow tells of progress meanwhile.
	hold chan struct{}
	slow bool
}

type memoryVM struct {
	owner string
	vm    hypervisor.VM
}

func newMemoryHost() *memoryHost {
	return &memoryHost{can: hypervisor.Capabilities{Product: "memory", BIOS: true, UEFI: true, SecureBoot: true, TPM: true, LinkedClones: true,
		MemoryBytes: 8 << 30, CPUs: 4}, images: map[string]int64{}, vms: map[string]*memoryVM{}}
}

// change is the begin of a changing call: the host is locked when it returns nil.
func (h *memoryHost) change(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h.mu.Lock()
	if h.calls++; h.calls == h.failAt {
		h.mu.Unlock()
		return h.failure
	}
	return nil
}

// memoryDriver is a driver of such a host.
type memoryDriver struct {
	host  *memoryHost
	owner string
}

func (d *memoryDriver) Capabilities() hypervisor.Capabilities { return d.host.can }
func (d *memoryDriver) Close() error                          { return nil }

func (d *memoryDriver) Check(ctx context.Context) ([]hypervisor.Finding, error) {
	return []hypervisor.Finding{{What: "memory", Level: hypervisor.OK}}, ctx.Err()
}

func (d *memoryDriver) EnsureImage(ctx context.Context, image hypervisor.Image, progress func(hypervisor.Progress)) error {
	if there, err := d.Images(ctx); err != nil || slices.Contains(there, image.Digest) {
		return err
	}
	a, err := image.Open(ctx, hypervisor.QCOW2)
	if err != nil {
		return err
	}
	defer a.Content.Close()
	if progress != nil {
		progress(hypervisor.Progress{Bytes: 1, TotalBytes: a.SizeBytes})
	}
	for n := int64(1); d.host.hold != nil; n++ {
		select {
		case <-d.host.hold:
		case <-ctx.Done():
			return ctx.Err()
		case <-tickOf(d.host.slow):
			progress(hypervisor.Progress{Bytes: n, TotalBytes: a.SizeBytes})
			continue
		}
		break
	}
	sum := sha256.New()
	n, err := io.Copy(sum, a.Content)
	if err != nil || n != a.SizeBytes || hex.EncodeToString(sum.Sum(nil)) != a.SHA256 {
		return fmt.Errorf("image %s did not arrive whole: %d of %d bytes, %v", image.Name, n, a.SizeBytes, err)
	}
	if err := d.host.change(ctx); err != nil {
		return err
	}
	defer d.host.mu.Unlock()
	d.host.images[image.Digest] = image.SizeBytes
	d.host.sent++
	return nil
}

// tickOf comes soon on a slow host, and never on another.
func tickOf(slow bool) <-chan time.Time {
	if !slow {
		return nil
	}
	return time.After(20 * time.Millisecond)
}

func (d *memoryDriver) Images(ctx context.Context) ([]string, error) {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	var all []string
	for digest := range d.host.images {
		all = append(all, digest)
	}
	return all, ctx.Err()
}

func (d *memoryDriver) RemoveImage(ctx context.Context, digest string) error {
	if err := d.host.change(ctx); err != nil {
		return err
	}
	defer d.host.mu.Unlock()
	for _, m := range d.host.vms {
		if m.vm.ImageDigest == digest {
			return fmt.Errorf("image %s: machine %s stands on it: %w", digest, m.vm.Name, inventory.ErrBusy)
		}
	}
	delete(d.host.images, digest)
	return nil
}

func (d *memoryDriver) Plan(ctx context.Context, spec hypervisor.Spec) (hypervisor.Plan, error) {
	if err := d.fits(spec); err != nil {
		return hypervisor.Plan{}, err
	}
	return hypervisor.Plan{Steps: []string{"make it"}, Request: "{}", Clone: hypervisor.LinkedClone}, ctx.Err()
}

func (d *memoryDriver) fits(spec hypervisor.Spec) error {
	if err := spec.Check(); err != nil {
		return err
	}
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	size, ok := d.host.images[spec.Image]
	if !ok {
		size = spec.ImageBytes
	}
	if spec.Disks[0].SizeBytes != 0 && spec.Disks[0].SizeBytes < size {
		return inventory.Invalid("root disk of %d bytes is smaller than the image's %d", spec.Disks[0].SizeBytes, size)
	}
	return nil
}

func (d *memoryDriver) Create(ctx context.Context, spec hypervisor.Spec) (hypervisor.VM, error) {
	if err := d.fits(spec); err != nil {
		return hypervisor.VM{}, err
	}
	if err := d.host.change(ctx); err != nil {
		return hypervisor.VM{}, err
	}
	defer d.host.mu.Unlock()
	uuid := hypervisor.UUID(d.owner, spec.ID)
	if there := d.host.vms[uuid]; there != nil {
		return there.vm, nil
	}
	size, ok := d.host.images[spec.Image]
	if !ok && spec.Image != "" {
		return hypervisor.VM{}, inventory.NotFound("image", spec.Image)
	}
	vm := hypervisor.VM{ID: spec.ID, UUID: uuid, Name: spec.Name, Power: hypervisor.Off, CPUs: spec.CPUs, MemoryBytes: spec.MemoryBytes,
		Firmware: spec.Firmware, Clone: hypervisor.LinkedClone, ImageDigest: spec.Image}
	for i, disk := range spec.Disks {
		if i == 0 && disk.SizeBytes == 0 {
			disk.SizeBytes = size
		}
		vm.Disks = append(vm.Disks, hypervisor.VMDisk{Path: fmt.Sprint(uuid, "/", i), SizeBytes: disk.SizeBytes})
	}
	for _, n := range spec.NICs {
		vm.NICs = append(vm.NICs, hypervisor.VMNIC{MAC: n.MAC, Network: n.Network})
	}
	d.host.vms[uuid] = &memoryVM{d.owner, vm}
	return vm, nil
}

func (d *memoryDriver) Get(ctx context.Context, id string) (hypervisor.VM, error) {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	if m := d.host.vms[hypervisor.UUID(d.owner, id)]; m != nil {
		return m.vm, ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		return hypervisor.VM{}, err
	}
	return hypervisor.VM{}, inventory.NotFound("machine", id)
}

func (d *memoryDriver) List(ctx context.Context) ([]hypervisor.VM, error) {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	var all []hypervisor.VM
	for _, m := range d.host.vms {
		if m.owner == d.owner {
			all = append(all, m.vm)
		}
	}
	return all, ctx.Err()
}

func (d *memoryDriver) SetPower(ctx context.Context, id string, to hypervisor.PowerState, _ hypervisor.PowerHow) error {
	if err := d.host.change(ctx); err != nil {
		return err
	}
	defer d.host.mu.Unlock()
	m := d.host.vms[hypervisor.UUID(d.owner, id)]
	if m == nil {
		return inventory.NotFound("machine", id)
	}
	m.vm.Power = to
	return nil
}

func (d *memoryDriver) Delete(ctx context.Context, id string) error {
	if err := d.host.change(ctx); err != nil {
		return err
	}
	defer d.host.mu.Unlock()
	delete(d.host.vms, hypervisor.UUID(d.owner, id))
	return nil
}
