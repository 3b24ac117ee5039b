package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ingot/inventory"
	"ingot/pxe/agentapi"
)

// wipe discards the disks that carry this installation's marker, or all with Wipe.All.
// A disk that can't be wiped fails the order: nothing is ready that still has data.
func (a *Agent) wipe(ctx context.Context, o agentapi.Order, rep *inventory.Report) error {
	if o.Wipe == nil {
		return refuse("wipe order without its particulars")
	}
	disks, err := a.machine.disks(ctx)
	if err != nil {
		return err
	}
	var wiped []string
	for _, d := range disks {
		if d.Removable || d.ReadOnly || d.SizeBytes == 0 {
			continue
		}
		did, err := a.wipeDisk(ctx, o, d)
		if err != nil {
			return fmt.Errorf("wipe /dev/%s: %w", d.Name, err)
		}
		if did {
			wiped = append(wiped, "/dev/"+d.Name)
		}
	}
	rep.Disk = strings.Join(wiped, ", ")
	return nil
}

func (a *Agent) wipeDisk(ctx context.Context, o agentapi.Order, d inventory.Disk) (bool, error) {
	dev, err := a.machine.open(d.Name)
	if err != nil {
		return false, err
	}
	did, err := a.zero(ctx, o, dev)
	return did, errors.Join(err, dev.Close())
}

// wipeStep is how much is zeroed between two signs of progress.
const wipeStep = 1 << 30

// zero wipes from the start, so the marker goes last: a wipe that was cut is found again.
func (a *Agent) zero(ctx context.Context, o agentapi.Order, dev disk) (bool, error) {
	mark, err := readMarker(dev, dev.SizeBytes(), dev.SectorBytes())
	if err != nil && !errors.Is(err, errNoMarker) {
		return false, err
	}
	ours := err == nil && mark.Inventory == o.Inventory
	if !ours && !o.Wipe.All {
		return false, nil
	}
	if ours && mark.Machine == o.Wipe.Machine && mark.Generation > o.Generation {
		return false, refuse("wipe of generation %d, and this disk was written by generation %d", o.Generation, mark.Generation)
	}
	meter := newMeter("wipe")
	for off := int64(0); off < dev.SizeBytes(); off += wipeStep {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if err := dev.Zero(off, min(wipeStep, dev.SizeBytes()-off)); err != nil {
			return false, err
		}
		a.beats.set(o.Generation, meter.at(off, dev.SizeBytes(), 0))
	}
	return true, dev.Sync()
}
