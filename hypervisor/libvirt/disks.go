package libvirt

import (
	"context"
	"fmt"
	"strings"

	lv "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"ingot/hypervisor"
)

// dataDisks are the disks of a machine without seeds, CD-ROMs and floppies.
func (f found) dataDisks() []libvirtxml.DomainDisk {
	if f.desc.Devices == nil {
		return nil
	}
	var disks []libvirtxml.DomainDisk
	for _, one := range f.desc.Devices.Disks {
		if (one.Device == "" || one.Device == "disk") && one.Target != nil && !strings.HasSuffix(diskPath(one), "/"+seedVolume(f.desc.UUID)) {
			disks = append(disks, one)
		}
	}
	return disks
}

func diskPath(one libvirtxml.DomainDisk) string {
	switch {
	case one.Source == nil:
	case one.Source.File != nil:
		return one.Source.File.File
	case one.Source.Block != nil:
		return one.Source.Block.Dev
	case one.Source.Volume != nil:
		return one.Source.Volume.Pool + "/" + one.Source.Volume.Volume
	}
	return ""
}

// disks are a machine's, with their sizes. A file that is gone has none: one broken machine
// does not hide the others.
func (d *Driver) disks(ctx context.Context, f found, now stats) (disks []hypervisor.VMDisk, err error) {
	for _, one := range f.dataDisks() {
		size := now.sizes[one.Target.Dev]
		if size == 0 {
			if size, err = d.diskSize(ctx, f, one); err != nil && !said(err) {
				return nil, err
			}
		}
		disks = append(disks, hypervisor.VMDisk{Path: diskPath(one), SizeBytes: size})
	}
	return disks, nil
}

func (d *Driver) diskSize(ctx context.Context, f found, one libvirtxml.DomainDisk) (int64, error) {
	return ask(ctx, d.link, fmt.Sprintf("size of disk %s of domain %s", one.Target.Dev, f.Name), func(r *lv.Libvirt) (int64, error) {
		_, capacity, _, err := r.DomainGetBlockInfo(f.Domain, one.Target.Dev, 0)
		return int64(capacity), err
	})
}
