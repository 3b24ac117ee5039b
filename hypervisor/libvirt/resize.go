package libvirt

import (
	"context"
	"fmt"

	lv "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"ingot/hypervisor"
	"ingot/inventory"
)

// GrowDisk implements hypervisor.Resizer. libvirt would make the disk of a running machine
// smaller without a word, so that is refused here.
func (d *Driver) GrowDisk(ctx context.Context, id string, n int, sizeBytes int64) error {
	err := d.withMachine(ctx, id, func(f found) error {
		disks := f.dataDisks()
		if n < 0 || n >= len(disks) {
			return inventory.NotFound("disk", fmt.Sprint(n))
		}
		now, err := d.diskSize(ctx, f, disks[n])
		switch {
		case err != nil:
			return err
		case sizeBytes < now:
			return inventory.Invalid("%d bytes is smaller than it is (%d)", sizeBytes, now)
		case sizeBytes%sectorBytes != 0:
			return inventory.Invalid("%d bytes (want a multiple of %d)", sizeBytes, sectorBytes)
		case sizeBytes == now:
			return nil
		}
		return d.grow(ctx, f, disks[n], sizeBytes)
	})
	if err != nil {
		return fmt.Errorf("grow disk %d of machine %s: %w", n, id, err)
	}
	return nil
}

const sectorBytes = 512

func (d *Driver) grow(ctx context.Context, f found, one libvirtxml.DomainDisk, sizeBytes int64) error {
	power, err := d.power(ctx, f.Domain)
	if err != nil {
		return err
	}
	if power != hypervisor.Off {
		return do(ctx, d.link, "resize disk "+one.Target.Dev, func(r *lv.Libvirt) error {
			return r.DomainBlockResize(f.Domain, one.Target.Dev, uint64(sizeBytes), lv.DomainBlockResizeBytes)
		})
	}
	v, err := ask(ctx, d.link, "find volume "+diskPath(one), func(r *lv.Libvirt) (lv.StorageVol, error) { return r.StorageVolLookupByPath(diskPath(one)) })
	if err != nil {
		return err
	}
	// libvirt goes by the format that it sees in the content. Of a raw disk that is what
	// the guest wrote there.
	desc, err := pool{link: d.link}.describe(ctx, v)
	if err != nil {
		return err
	}
	if one.Driver == nil || one.Driver.Type != format(desc) {
		return fmt.Errorf("libvirt: volume %s looks like %s, which is not what the machine takes it for: %w", v.Name, format(desc), inventory.ErrUnsupported)
	}
	return do(ctx, d.link, "resize volume "+v.Name, func(r *lv.Libvirt) error { return r.StorageVolResize(v, uint64(sizeBytes), 0) })
}

// SetSize implements hypervisor.Resizer.
func (d *Driver) SetSize(ctx context.Context, id string, cpus int, memoryBytes int64) error {
	err := d.withMachine(ctx, id, func(f found) error {
		power, err := d.power(ctx, f.Domain)
		if err != nil {
			return err
		}
		if power != hypervisor.Off {
			return fmt.Errorf("it is %s: %w", power, inventory.ErrBusy)
		}
		if cpus < 1 || memoryBytes < 16<<20 || memoryBytes%(1<<20) != 0 {
			return inventory.Invalid("%d CPUs and memory of %d bytes (want at least 1, and a multiple of 1 MiB)", cpus, memoryBytes)
		}
		if err := d.setCPUs(ctx, f, uint32(cpus)); err != nil {
			return err
		}
		return d.setMemory(ctx, f, uint64(memoryBytes>>10))
	})
	if err != nil {
		return fmt.Errorf("set size of machine %s: %w", id, err)
	}
	return nil
}

// setCPUs sets the most there can be and then how many there are; the first takes the
// second down with it.
func (d *Driver) setCPUs(ctx context.Context, f found, cpus uint32) error {
	for _, flags := range []lv.DomainVCPUFlags{lv.DomainVCPUConfig | lv.DomainVCPUMaximum, lv.DomainVCPUConfig} {
		if err := do(ctx, d.link, "set CPUs of domain "+f.Name, func(r *lv.Libvirt) error {
			return r.DomainSetVcpusFlags(f.Domain, cpus, uint32(flags))
		}); err != nil {
			return err
		}
	}
	return nil
}

// setMemory does the same with memory, in KiB.
func (d *Driver) setMemory(ctx context.Context, f found, kib uint64) error {
	for _, flags := range []lv.DomainMemoryModFlags{lv.DomainMemConfig | lv.DomainMemMaximum, lv.DomainMemConfig} {
		if err := do(ctx, d.link, "set memory of domain "+f.Name, func(r *lv.Libvirt) error {
			return r.DomainSetMemoryFlags(f.Domain, kib, uint32(flags))
		}); err != nil {
			return err
		}
	}
	return nil
}
