package libvirt

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	lv "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"ingot/hypervisor"
	"ingot/inventory"
)

// A snapshot is one of qcow2's own, inside the disk files, of a machine that is off:
// libvirt 9.0 takes none of a running machine with UEFI (error 84) and goes back to no
// external one (error 67). UEFI variables are not part of it, so they are copied to a
// volume beside. The state of a TPM is not kept: a TPM is not meant to go back.

// plainSnapshot is what libvirt takes as a name (it makes a file name of it) and QEMU does
// not take for a number.
var plainSnapshot = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._ -]{0,62}$`)

// snapshotName is what a snapshot is called at libvirt. One that people gave another name
// has that as its description.
func snapshotName(name string) string {
	if plainSnapshot.MatchString(name) {
		return name
	}
	return fmt.Sprintf("_%x", sha256.Sum256([]byte(name)))[:17]
}

// keptVariables is the volume with a snapshot's copy of the UEFI variables.
func keptVariables(uuid, name string) string {
	return fmt.Sprintf("%snvram-%.16x.fd", volumeStem(uuid), sha256.Sum256([]byte(name)))
}

// CreateSnapshot implements hypervisor.Snapshotter.
func (d *Driver) CreateSnapshot(ctx context.Context, id, name string) error {
	if name == "" {
		return inventory.Invalid("snapshot of machine %s without a name", id)
	}
	err := d.withMachine(ctx, id, func(f found) error {
		_, err := d.snapshot(ctx, f, name)
		if !missing(err) {
			return err
		}
		return d.whileOff(ctx, f, func() error { return d.keep(ctx, f, name) })
	})
	if err != nil {
		return fmt.Errorf("snapshot %q of machine %s: %w", name, id, err)
	}
	return nil
}

// withMachine holds a machine and finds it.
func (d *Driver) withMachine(ctx context.Context, id string, f func(found) error) error {
	release, err := d.begin(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	machine, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	return f(machine)
}

// whileOff does something with a machine that is off, and starts it again if it ran,
// whatever came of it.
func (d *Driver) whileOff(ctx context.Context, f found, act func() error) error {
	power, err := d.power(ctx, f.Domain)
	if err != nil {
		return err
	}
	if power == hypervisor.Off {
		return act()
	}
	if err := d.stop(ctx, f); err != nil {
		return err
	}
	err = act()
	if ctx.Err() != nil {
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearWithin)
		defer cancel()
		ctx = short
	}
	return errors.Join(err, d.startWithNetworks(ctx, f))
}

// stop shuts a machine down, and switches it off when it takes too long.
func (d *Driver) stop(ctx context.Context, f found) error {
	short, cancel := context.WithTimeout(ctx, d.config.StopWithin)
	defer cancel()
	err := d.waitOff(short, f)
	if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	d.config.Log.Warn("machine did not shut down for a snapshot and is switched off", "machine", f.identity.ID, "after", d.config.StopWithin)
	return d.destroy(ctx, f.Domain)
}

// keep makes the snapshot. The variables come first: a snapshot that is there is whole.
func (d *Driver) keep(ctx context.Context, f found, name string) error {
	if err := d.keepVariables(ctx, f, name); err != nil {
		return err
	}
	s := libvirtxml.DomainSnapshot{Name: snapshotName(name), Description: name, Disks: &libvirtxml.DomainSnapshotDisks{}}
	data := f.dataDisks()
	for _, one := range f.desc.Devices.Disks {
		how := "no"
		if slices.ContainsFunc(data, func(d libvirtxml.DomainDisk) bool { return d.Target.Dev == one.Target.Dev }) {
			how = "internal"
		}
		s.Disks.Disks = append(s.Disks.Disks, libvirtxml.DomainSnapshotDisk{Name: one.Target.Dev, Snapshot: how})
	}
	text, err := s.Marshal()
	if err != nil {
		return fmt.Errorf("libvirt: describe snapshot: %w", err)
	}
	_, err = change(ctx, d.link, "create snapshot", func(r *lv.Libvirt) (lv.DomainSnapshot, error) { return r.DomainSnapshotCreateXML(f.Domain, text, 0) })
	return err
}

func (d *Driver) snapshot(ctx context.Context, f found, name string) (lv.DomainSnapshot, error) {
	return ask(ctx, d.link, "find snapshot", func(r *lv.Libvirt) (lv.DomainSnapshot, error) {
		return r.DomainSnapshotLookupByName(f.Domain, snapshotName(name), 0)
	})
}

// Snapshots implements hypervisor.Snapshotter.
func (d *Driver) Snapshots(ctx context.Context, id string) ([]hypervisor.Snapshot, error) {
	f, err := d.find(ctx, id)
	if err != nil {
		return nil, err
	}
	all, err := ask(ctx, d.link, "list snapshots", func(r *lv.Libvirt) ([]lv.DomainSnapshot, error) {
		all, _, err := r.DomainListAllSnapshots(f.Domain, 1, 0)
		return all, err
	})
	if err != nil {
		return nil, err
	}
	kept, err := gather(ctx, all, d.describeSnapshot)
	slices.SortStableFunc(kept, func(a, b hypervisor.Snapshot) int { return a.Created.Compare(b.Created) })
	return kept, err
}

func (d *Driver) describeSnapshot(ctx context.Context, s lv.DomainSnapshot) (hypervisor.Snapshot, error) {
	var desc libvirtxml.DomainSnapshot
	current := int32(0)
	text, err := ask(ctx, d.link, "read snapshot", func(r *lv.Libvirt) (text string, err error) {
		if current, err = r.DomainSnapshotIsCurrent(s, 0); err != nil {
			return "", err
		}
		return r.DomainSnapshotGetXMLDesc(s, 0)
	})
	if err != nil {
		return hypervisor.Snapshot{}, err
	}
	if err := desc.Unmarshal(text); err != nil {
		return hypervisor.Snapshot{}, fmt.Errorf("libvirt: read snapshot %s: %w", s.Name, err)
	}
	kept := hypervisor.Snapshot{Name: s.Name, Current: current != 0}
	if snapshotName(desc.Description) == s.Name {
		kept.Name = desc.Description
	}
	if seconds, err := strconv.ParseInt(desc.CreationTime, 10, 64); err == nil {
		kept.Created = time.Unix(seconds, 0)
	}
	return kept, nil
}

// RevertSnapshot implements hypervisor.Snapshotter.
func (d *Driver) RevertSnapshot(ctx context.Context, id, name string) error {
	err := d.withMachine(ctx, id, func(f found) error {
		s, err := d.snapshot(ctx, f, name)
		if err != nil {
			return err
		}
		if err := d.destroy(ctx, f.Domain); err != nil {
			return err
		}
		if err := d.doLong(ctx, "revert", func(r *lv.Libvirt) error { return r.DomainRevertToSnapshot(s, 0) }); err != nil {
			return err
		}
		if err := d.sameMachine(ctx, f); err != nil {
			return err
		}
		return d.revertVariables(ctx, f, name)
	})
	if err != nil {
		return fmt.Errorf("revert machine %s to snapshot %q: %w", id, name, err)
	}
	return nil
}

// sameMachine is for snapshots that others made: a revert also brings back the description
// and the power of then, when the machine may not have been ours.
func (d *Driver) sameMachine(ctx context.Context, f found) error {
	if err := d.destroy(ctx, f.Domain); err != nil {
		return err
	}
	now, err := d.read(ctx, f.Domain)
	if err != nil || now.ours && now.identity.ID == f.identity.ID {
		return err
	}
	return d.mark(ctx, now, f.identity)
}

// DeleteSnapshot implements hypervisor.Snapshotter. A running machine goes on.
func (d *Driver) DeleteSnapshot(ctx context.Context, id, name string) error {
	err := d.withMachine(ctx, id, func(f found) error {
		s, err := d.snapshot(ctx, f, name)
		if err == nil {
			err = d.dropSnapshot(ctx, f, s)
		}
		if err != nil && !missing(err) {
			return err
		}
		return d.dropVariables(ctx, f, name)
	})
	if err != nil {
		return fmt.Errorf("delete snapshot %q of machine %s: %w", name, id, err)
	}
	return nil
}

func (d *Driver) dropSnapshot(ctx context.Context, f found, s lv.DomainSnapshot) error {
	return d.doLong(ctx, "delete snapshot", func(r *lv.Libvirt) error { return r.DomainSnapshotDelete(s, 0) })
}
