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
	"ingot/pxe/agent/signature"
	"ingot/pxe/agentapi"
)

// disk is an open disk.
type disk interface {
	master.Target
	Close() error
}

func openDisk(name string) (disk, error) { return master.OpenDevice("/dev/" + name) }

// job is one write order with what it needs.
type job struct {
	order    agentapi.Order
	manifest *master.Manifest
	seed     []byte
	disk     master.Target
	report   *inventory.Report
	// written chunks of the image are on the disk, as its marker says: the order was cut
	// short before.
	written int
}

func (a *Agent) writeDisk(ctx context.Context, j *job) error {
	o, disk := j.order, j.disk
	done, err := mayWrite(j)
	if err != nil {
		return err
	}
	if done {
		a.log.Info("this order was carried out before", "disk", j.report.Disk, "generation", o.Generation)
		return a.bootOrderOf(j)
	}
	a.log.Info("write", "image", o.Deploy.Image, "disk", j.report.Disk, "generation", o.Generation)
	mark := marker{Inventory: o.Inventory, Machine: o.Deploy.Machine, Generation: o.Generation, Image: o.Deploy.Image, State: markerWriting, At: time.Now().UTC(), Chunks: j.written}
	if err := writeMarker(disk, mark); err != nil {
		return err
	}
	if err := a.apply(ctx, j, newWriteLog(j, mark, a.log)); err != nil {
		return err
	}
	esp, err := a.finish(j)
	if err != nil {
		return err
	}
	mark.State, mark.Chunks = markerComplete, 0
	if err := writeMarker(disk, mark); err != nil {
		return err
	}
	return a.bootOrder(o, esp)
}

// roomBytes is what partition tables and marker need behind image and seed.
const roomBytes = 4 << 20

// mayWrite is the last look before the first byte. done means that the marker says this
// very order was carried out on this disk.
func mayWrite(j *job) (done bool, err error) {
	o, m, disk := j.order, j.manifest, j.disk
	if err := m.CheckTarget(disk); err != nil {
		return false, refuse("%v: nothing was written", err)
	}
	if need := m.LogicalBytes + int64(len(j.seed)) + roomBytes; disk.SizeBytes() < need {
		return false, refuse("image and seed need %s, the disk has %s: nothing was written", inventory.FormatBytes(need), inventory.FormatBytes(disk.SizeBytes()))
	}
	mark, err := readMarker(disk, disk.SizeBytes(), disk.SectorBytes())
	if err != nil && !errors.Is(err, errNoMarker) {
		return false, err
	}
	ours := err == nil && mark.Inventory == o.Inventory
	mine := ours && mark.Machine == o.Deploy.Machine
	switch {
	case mine && mark.Generation > o.Generation:
		return false, refuse("order of generation %d, and this disk was written by generation %d: a restored server must not write disks", o.Generation, mark.Generation)
	case mine && mark.Generation == o.Generation && mark.State == markerComplete:
		return true, nil
	case mine && mark.Generation == o.Generation && mark.Image == o.Deploy.Image:
		j.written = mark.Chunks
		return false, nil
	case ours, o.Deploy.Overwrite:
		return false, nil
	}
	found, err := signature.Scan(disk, disk.SizeBytes(), disk.SectorBytes())
	if err != nil {
		return false, err
	}
	if mark.Inventory != "" {
		found = append(found, "an image of another Ingot installation")
	}
	if len(found) > 0 {
		return false, &permanentError{reason: fmt.Sprintf("the disk carries data that this Ingot didn't write: %s; nothing was written", strings.Join(found, ", ")),
			try: "give --overwrite if it may be lost"}
	}
	return false, nil
}

// apply streams the image to the disk, and reads it back when asked.
func (a *Agent) apply(ctx context.Context, j *job, w *writeLog) error {
	o, m, disk := j.order, j.manifest, j.disk
	meter := newMeter("write")
	opts := master.ApplyOptions{Done: w.before(), ChunkDone: w.wrote, Progress: func(p master.Progress) {
		a.beats.set(o.Generation, meter.at(p.DoneBytes, p.TotalBytes, p.WireBytes))
	}}
	src := master.HTTPSource{Client: a.fetch.client, URL: a.params.HTTP + o.Deploy.DataPath}
	p, err := master.Apply(ctx, m, src, disk, opts)
	j.report.WireBytes, j.report.RefetchedChunks = p.WireBytes, p.Refetched
	if p.Reused > 0 {
		a.log.Info("went on where the last boot was cut", "chunks", p.Reused, "of", len(m.Chunks))
	}
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
func (a *Agent) finish(j *job) (*espEntry, error) {
	m, disk := j.manifest, j.disk
	table, err := master.ReadTable(disk, disk.SizeBytes(), disk.SectorBytes())
	if err != nil {
		a.log.Warn("image has no GPT: nothing is grown, and no seed can be placed", "err", err)
		if len(j.seed) > 0 {
			return nil, refuse("image has no GUID partition table, so there is no place for its seed: %v", err)
		}
		return nil, nil
	}
	seedBytes := (int64(len(j.seed)) + 1<<20 - 1) &^ (1<<20 - 1)
	if m.GrowPartition != "" {
		if err := table.Grow(m.GrowPartition, seedBytes+markerPartitionBytes+2<<20); err != nil {
			return nil, err
		}
	}
	if err := placeSeed(table, j, seedBytes); err != nil {
		return nil, err
	}
	if err := table.Write(disk); err != nil {
		return nil, err
	}
	return findESP(table), disk.Sync()
}

// placeSeed adds the last partition: the seed, and behind it the marker.
func placeSeed(table *master.Table, j *job, seedBytes int64) error {
	kind, name := master.TypeBasicData, "cidata"
	if seedBytes == 0 {
		kind, name = markerType, markerName
	}
	id := master.NewGUID(master.DigestOf([]byte(j.order.Deploy.Machine + j.order.Deploy.Digest + table.DiskID.String())))
	part, err := table.AddLast(kind, id, name, seedBytes+markerPartitionBytes)
	if err != nil {
		return err
	}
	offset, _ := table.Offset(part)
	if want := markerOffset(j.disk.SizeBytes(), j.disk.SectorBytes()); offset+seedBytes != want {
		return fmt.Errorf("place marker: partition ends at %d, marker is at %d", offset+seedBytes, want)
	}
	if seedBytes == 0 {
		return nil
	}
	if _, err := j.disk.WriteAt(j.seed, offset); err != nil {
		return fmt.Errorf("write seed: %w", err)
	}
	return nil
}
