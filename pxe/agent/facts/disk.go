package facts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	"ingot/inventory"
	"ingot/pxe/agent/signature"
)

const blockDir = "sys/block"

// Bounds of looking into disks: a failing one may take minutes for one read.
const (
	diskWait    = 15 * time.Second
	diskWorkers = 8
)

// noDisk names block devices that hold no system: loops, memory, floppies, optical and
// network devices, assembled ones, tapes, and the boot partitions of eMMC, which are
// block devices of their own.
var noDisk = regexp.MustCompile(`^(loop|ram|zram|dm-|md|sr|fd|nbd|rbd|drbd|bcache|mtdblock|zd)[0-9]|^mmcblk[0-9]+(boot|rpmb|gp)`)

// Disks reads the block devices of the running machine that can hold a system, from
// sysfs alone: nothing is asked of the devices, so it is quick and can't hang. What it
// says of a disk is what Collect says, but for Health and Signatures, so a hint chosen by
// facts means the same disk here. An error is ErrInvalid when there is no sysfs.
func Disks(ctx context.Context) ([]inventory.Disk, error) {
	t := newTree("/")
	if !t.exists(blockDir) {
		return nil, inventory.Invalid("root %q (no /%s: sysfs is not mounted)", t.root, blockDir)
	}
	return t.listDisks(), ctx.Err()
}

func (t tree) listDisks() []inventory.Disk {
	var out []inventory.Disk
	for _, name := range t.names(blockDir) {
		if d, ok := t.disk(name); ok {
			out = append(out, d)
		}
	}
	return out
}

// disk reads one block device; false for what is none. A hidden device is one path of an
// NVMe namespace that is listed by itself. Devices under virtual/block are made by
// software; namespaces with several paths are under virtual/nvme-subsystem and real.
func (t tree) disk(name string) (inventory.Disk, bool) {
	dir := path.Join(blockDir, name)
	place := t.link(dir)
	if noDisk.MatchString(name) || t.yes(dir, "hidden") || strings.Contains(place, "/devices/virtual/block/") {
		return inventory.Disk{}, false
	}
	// sysfs counts 512 bytes whatever the sector size is.
	d := inventory.Disk{Name: name, Path: "/dev/" + name, SizeBytes: t.number(dir, "size") * 512}
	if d.SizeBytes <= 0 {
		return inventory.Disk{}, false
	}
	d.LogicalSectorBytes = int(t.number(dir, "queue/logical_block_size"))
	d.PhysicalSectorBytes = int(t.number(dir, "queue/physical_block_size"))
	d.Rotational, d.Removable, d.ReadOnly = t.yes(dir, "queue/rotational"), t.yes(dir, "removable"), t.yes(dir, "ro")
	d.Transport = transport(place)
	t.name(&d, dir)
	return d, true
}

// transports tell how a disk is attached by the components of its place in sysfs, the
// more particular first: a SAS or FC disk is a SCSI disk too.
var transports = []struct{ part, transport string }{
	{"/nvme", "nvme"}, {"/usb", "usb"}, {"/session", "iscsi"}, {"/end_device-", "sas"}, {"/rport-", "fc"},
	{"/ata", "sata"}, {"/mmc_host", "mmc"}, {"/host", "scsi"}, {"/virtio", "virtio"}, {"/vbd-", "xen"},
}

// transport tells how a disk is attached; empty when its place says nothing.
func transport(place string) string {
	dir := path.Dir(place) + "/"
	for _, t := range transports {
		for rest := dir; ; {
			i := strings.Index(rest, t.part)
			if i < 0 {
				break
			}
			rest = rest[i+len(t.part):]
			if t.part == "/mmc_host" || t.part == "/end_device-" || t.part == "/vbd-" || rest[0] >= '0' && rest[0] <= '9' || strings.HasPrefix(rest, "-subsys") {
				return t.transport
			}
		}
	}
	return ""
}

// disks lists the disks and looks into each: health by asking the device, signatures by
// reading. A disk that doesn't answer in time keeps its place in the list.
func (r *reading) disks(ctx context.Context) []inventory.Disk {
	disks := r.listDisks()
	turns := make(chan struct{}, diskWorkers)
	var wg sync.WaitGroup
	for i := range disks {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			r.lookInto(ctx, &disks[i])
		})
	}
	wg.Wait()
	return disks
}

func (r *reading) lookInto(ctx context.Context, d *inventory.Disk) {
	copied := *d
	health, err := within(ctx, diskWait, func() (*inventory.DiskHealth, error) { return r.health(copied) })
	switch {
	case errors.Is(err, errNoAnswer):
		r.note("disk %s: read health: %v", d.Name, err)
		return // it wouldn't answer a read either
	case err != nil:
		r.log.Debug("no disk health", "disk", d.Name, "err", err)
	}
	d.Health = health
	found, err := within(ctx, diskWait, func() ([]string, error) { return r.signatures(copied) })
	if err != nil {
		r.note("disk %s: read signatures: %v", d.Name, err)
	}
	d.Signatures = found
}

// signatures reads what the disk carries. A dump without the disk's content has none.
func (r *reading) signatures(d inventory.Disk) ([]string, error) {
	f, err := os.Open(r.path("dev/" + d.Name))
	if errors.Is(err, os.ErrNotExist) && !r.live() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("size: %w", err)
	}
	return signature.Scan(f, size, d.LogicalSectorBytes)
}
