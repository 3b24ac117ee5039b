package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"ingot/images/master"
	"ingot/inventory"
	"ingot/pxe/agent/facts"
	"ingot/pxe/agent/signature"
	"ingot/pxe/agentapi"
)

// deploy writes the image, the seed and the boot order.
func (a *Agent) deploy(ctx context.Context, o agentapi.Order, rep *inventory.Report) error {
	d := o.Deploy
	if d == nil {
		return refuse("deploy order without its particulars")
	}
	disks, err := facts.Disks(ctx)
	if err != nil {
		return err
	}
	disk, err := d.Disk.Choose(disks)
	if err != nil {
		return err
	}
	rep.Disk = fmt.Sprintf("/dev/%s (%s, %s)", disk.Name, strings.TrimSpace(disk.Model+" "+disk.Serial), inventory.FormatBytes(disk.SizeBytes))
	m, err := a.manifest(ctx, d)
	if err != nil {
		return err
	}
	target, err := master.OpenDevice("/dev/" + disk.Name)
	if err != nil {
		return err
	}
	err = a.writeDisk(ctx, o, m, target, rep)
	return errors.Join(err, target.Close())
}

// manifest fetches the image's manifest and holds it against the digest of the order.
func (a *Agent) manifest(ctx context.Context, d *agentapi.Deploy) (*master.Manifest, error) {
	want, err := master.ParseDigest(d.Digest)
	if err != nil {
		return nil, refuse("order names image digest %q: %v", d.Digest, err)
	}
	doc, err := get(ctx, a.http, a.params.HTTP+d.ManifestPath, master.MaxManifestBytes)
	if err != nil {
		return nil, err
	}
	return master.ParseManifestDigest(doc, want)
}

func (a *Agent) writeDisk(ctx context.Context, o agentapi.Order, m *master.Manifest, disk *master.Device, rep *inventory.Report) error {
	done, err := mayWrite(o, m, disk)
	if err != nil || done {
		return err
	}
	a.log.Info("write", "image", o.Deploy.Image, "disk", rep.Disk, "generation", o.Generation)
	mark := marker{Inventory: o.Inventory, Machine: o.Deploy.Machine, Generation: o.Generation, Image: o.Deploy.Image, State: markerWriting, At: time.Now().UTC()}
	if err := writeMarker(disk, mark); err != nil {
		return err
	}
	if err := a.apply(ctx, o, m, disk, rep); err != nil {
		return err
	}
	esp, err := a.finish(o, m, disk)
	if err != nil {
		return err
	}
	mark.State = markerComplete
	if err := writeMarker(disk, mark); err != nil {
		return err
	}
	return a.bootOrder(o, esp)
}

// mayWrite is the last look before the first byte. done means that the marker says this
// very order was carried out on this disk.
func mayWrite(o agentapi.Order, m *master.Manifest, disk *master.Device) (done bool, err error) {
	if err := m.CheckTarget(disk); err != nil {
		return false, &permanentError{reason: err.Error() + ": nothing was written"}
	}
	if need := m.LogicalBytes + int64(len(o.Deploy.Seed)) + 4<<20; disk.SizeBytes() < need {
		return false, refuse("image and seed need %s, the disk has %s: nothing was written", inventory.FormatBytes(need), inventory.FormatBytes(disk.SizeBytes()))
	}
	mark, err := readMarker(disk, disk.SizeBytes(), disk.SectorBytes())
	ours := err == nil && mark.Inventory == o.Inventory
	if err != nil && !errors.Is(err, errNoMarker) {
		return false, err
	}
	switch {
	case ours && mark.Machine == o.Deploy.Machine && mark.Generation > o.Generation:
		return false, refuse("order of generation %d, and this disk was written by generation %d: a restored server must not write disks", o.Generation, mark.Generation)
	case ours && mark.Machine == o.Deploy.Machine && mark.Generation == o.Generation && mark.State == markerComplete:
		return true, nil
	case ours, o.Deploy.Overwrite:
		return false, nil
	}
	found, err := signature.Scan(disk, disk.SizeBytes(), disk.SectorBytes())
	if err != nil {
		return false, err
	}
	if len(found) > 0 {
		return false, &permanentError{reason: fmt.Sprintf("the disk carries data that Ingot didn't write: %s; nothing was written", strings.Join(found, ", ")),
			try: "give --overwrite if it may be lost"}
	}
	return false, nil
}

// apply streams the image to the disk, and reads it back when asked.
func (a *Agent) apply(ctx context.Context, o agentapi.Order, m *master.Manifest, disk *master.Device, rep *inventory.Report) error {
	meter := newMeter("write")
	opts := master.ApplyOptions{Progress: func(p master.Progress) {
		a.beats.set(o.Generation, meter.at(p.DoneBytes, p.TotalBytes, p.WireBytes))
	}}
	src := master.HTTPSource{Client: a.http, URL: a.params.HTTP + o.Deploy.DataPath}
	p, err := master.Apply(ctx, m, src, disk, opts)
	rep.WireBytes, rep.RefetchedChunks = p.WireBytes, p.Refetched
	if p.Refetched > 0 || p.Retries > 0 {
		a.log.Warn("transfer was not clean", "refetched", p.Refetched, "retries", p.Retries)
	}
	if err != nil || !o.Deploy.Verify {
		return err
	}
	a.log.Info("verify")
	check := newMeter("verify")
	var done atomic.Int64
	return master.Verify(ctx, m, disk, func(n int64) { a.beats.set(o.Generation, check.at(done.Add(n), m.LogicalBytes, 0)) })
}

// finish fits the partition table to the disk: the named partition grows, the marker
// and the seed get theirs. It returns the EFI system partition, nil without one.
func (a *Agent) finish(o agentapi.Order, m *master.Manifest, disk *master.Device) (*espEntry, error) {
	table, err := master.ReadTable(disk, disk.SizeBytes(), disk.SectorBytes())
	if err != nil {
		a.log.Warn("image has no GPT: nothing is grown, and no seed can be placed", "err", err)
		if len(o.Deploy.Seed) > 0 {
			return nil, refuse("image has no GUID partition table, so there is no place for its seed: %v", err)
		}
		return nil, nil
	}
	seedBytes := (int64(len(o.Deploy.Seed)) + 1<<20 - 1) &^ (1<<20 - 1)
	if m.GrowPartition != "" {
		if err := table.Grow(m.GrowPartition, seedBytes+markerPartitionBytes+2<<20); err != nil {
			return nil, err
		}
	}
	id := func(what string) master.GUID {
		return master.NewGUID(master.DigestOf([]byte(what + o.Deploy.Machine + o.Deploy.Digest + table.DiskID.String())))
	}
	mark, err := table.AddLast(markerType, id("marker"), markerName, markerPartitionBytes)
	if err != nil {
		return nil, err
	}
	if offset, _ := table.Offset(mark); offset != markerOffset(disk.SizeBytes(), disk.SectorBytes()) {
		return nil, fmt.Errorf("place marker: partition at %d, marker at %d", offset, markerOffset(disk.SizeBytes(), disk.SectorBytes()))
	}
	if seedBytes > 0 {
		if err := placeSeed(table, disk, id("seed"), o.Deploy.Seed, seedBytes); err != nil {
			return nil, err
		}
	}
	if err := table.Write(disk); err != nil {
		return nil, err
	}
	return findESP(table), disk.Sync()
}

func placeSeed(table *master.Table, disk *master.Device, id master.GUID, seed []byte, sizeBytes int64) error {
	part, err := table.AddLast(master.TypeBasicData, id, "cidata", sizeBytes)
	if err != nil {
		return err
	}
	offset, _ := table.Offset(part)
	if _, err := disk.WriteAt(seed, offset); err != nil {
		return fmt.Errorf("write seed: %w", err)
	}
	return nil
}
