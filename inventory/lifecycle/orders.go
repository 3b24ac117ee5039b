package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ingot/inventory"
	"ingot/inventory/seed"
)

// DeployOrder is what a person asks for.
type DeployOrder struct {
	Image     string             `json:"image"`
	Hostname  string             `json:"hostname,omitempty"`
	Disk      inventory.DiskHint `json:"disk"`
	Overwrite bool               `json:"overwrite,omitempty"`
	Verify    bool               `json:"verify,omitempty"`
	SSHKeys   []string           `json:"sshKeys,omitempty"`
	// UserData is the cloud-init document, nil for none.
	UserData     []byte                    `json:"userData,omitempty"`
	Addresses    []inventory.StaticAddress `json:"addresses,omitempty"`
	NetworkFirst bool                      `json:"networkFirst,omitempty"`
	// By is who asked, for the timeline.
	By string `json:"-"`
}

// edit changes one machine in a transaction and wakes the loop.
func (l *Lifecycle) edit(ctx context.Context, name string, f func(*change) error) (*inventory.Machine, error) {
	var m *inventory.Machine
	err := l.Store.Update(ctx, func(x inventory.Tx) error {
		found, err := x.Machine(ctx, name)
		if err != nil {
			return err
		}
		m = found
		c := &change{ctx: ctx, x: x, m: m, now: l.Now()}
		if err := f(c); err != nil {
			return err
		}
		return c.store()
	})
	l.Wake()
	return m, err
}

// Approve lets Ingot act on a machine that was discovered.
func (l *Lifecycle) Approve(ctx context.Context, name, by string) (*inventory.Machine, error) {
	return l.edit(ctx, name, func(c *change) error {
		if c.m.Spec.Approved {
			return nil
		}
		c.m.Spec.Approved = true
		c.add(inventory.Ordered{Order: "approve", Generation: c.m.Spec.Generation, By: by})
		return nil
	})
}

// Deploy orders an image onto a machine. All that can be checked from the facts is
// checked now, before anything is changed: the image exists, one disk fits the hint,
// is large enough and has the image's sector size, the firmware can boot it.
func (l *Lifecycle) Deploy(ctx context.Context, name string, o DeployOrder) (*inventory.Machine, error) {
	if err := seed.CheckUserData(o.UserData); err != nil {
		return nil, err
	}
	return l.edit(ctx, name, func(c *change) error {
		if err := mayWrite(c.m); err != nil {
			return err
		}
		image, err := ResolveImage(ctx, c.x, o.Image)
		if err != nil {
			return err
		}
		if err := c.checkFit(o, image); err != nil {
			return err
		}
		c.order(o, image)
		return c.err
	})
}

func (c *change) order(o DeployOrder, image inventory.Image) {
	s := &c.m.Spec
	s.Image, s.ImageDigest = o.Image, image.Digest
	s.Disk, s.Overwrite, s.Verify = o.Disk, o.Overwrite, o.Verify
	s.SSHKeys, s.Addresses, s.NetworkFirst = o.SSHKeys, o.Addresses, o.NetworkFirst
	if o.Hostname != "" {
		s.Hostname = o.Hostname
	}
	s.UserData = append([]byte{}, o.UserData...)
	s.Generation++
	c.m.Status.Report, c.m.Status.PhoneHome, c.m.Status.OrderedAt = nil, nil, c.now
	c.m.Status.FirstBootNone = image.FirstBoot == "none"
	c.add(inventory.Ordered{Order: "deploy", Generation: s.Generation, Image: image.Name + "@" + short(image.Digest), By: o.By})
	c.apply(inventory.TriggerDeploy)
}

func short(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }

// mayWrite refuses machines whose disks must not be touched now.
func mayWrite(m *inventory.Machine) error {
	switch {
	case m.Status.Locked:
		return fmt.Errorf("machine %s is locked (ingot machine unlock %s): %w", m.Name, m.Name, inventory.ErrBusy)
	case m.Status.Hold != "":
		return fmt.Errorf("machine %s is on hold: %s (ingot machine resume %s): %w", m.Name, m.Status.Hold, m.Name, inventory.ErrBusy)
	case m.Status.Conflict != "":
		return fmt.Errorf("machine %s has an identity conflict: %s: %w", m.Name, m.Status.Conflict, inventory.ErrBusy)
	case !m.Spec.Approved:
		return fmt.Errorf("machine %s is not approved (ingot machine approve %s): %w", m.Name, m.Name, inventory.ErrBusy)
	}
	return nil
}

// checkFit holds the order against the newest facts.
func (c *change) checkFit(o DeployOrder, image inventory.Image) error {
	if c.m.Kind != inventory.KindMetal {
		return fitsVM(c.m.Spec.VM, image)
	}
	facts, err := c.x.Facts(c.ctx, c.m.ID, 0)
	if err != nil {
		return err
	}
	for _, a := range o.Addresses {
		if !slices.ContainsFunc(facts.NICs, func(n inventory.NIC) bool { return n.MAC == a.MAC }) {
			return inventory.Invalid("static address %s is for MAC %s, which machine %s doesn't have", a.Prefix, a.MAC, c.m.Name)
		}
	}
	disk, err := o.Disk.Choose(facts.Disks)
	if err != nil {
		return err
	}
	if disk.LogicalSectorBytes != image.LogicalSectorBytes && disk.LogicalSectorBytes != 0 {
		return inventory.Invalid("disk %s has %d-byte sectors and image %s is made for %d: nothing was written; use an image built for %d-byte sectors or another disk",
			disk.Name, disk.LogicalSectorBytes, image.Name, image.LogicalSectorBytes, disk.LogicalSectorBytes)
	}
	if need := image.SizeBytes + SeedRoomBytes; disk.SizeBytes < need {
		return inventory.Invalid("image %s needs %s and disk %s has %s", image.Name, inventory.FormatBytes(need), disk.Name, inventory.FormatBytes(disk.SizeBytes))
	}
	return bootable(facts, image)
}

// fitsVM holds what is wanted of a VM against the image.
func fitsVM(vm *inventory.VMSpec, image inventory.Image) error {
	if root := vm.DiskBytes[0]; root != 0 && root < image.SizeBytes {
		return inventory.Invalid("image %s needs a root disk of %s and %s were asked for", image.Name, inventory.FormatBytes(image.SizeBytes), inventory.FormatBytes(root))
	}
	mode := string(vm.Firmware)
	if vm.SecureBoot {
		mode = "secureboot"
	}
	if image.BootsBy(mode) {
		return nil
	}
	return inventory.Invalid("image %s boots by %v, not by %s", image.Name, image.BootModes, mode)
}

// SeedRoomBytes is what a deploy needs at the disk's end beyond the image: the seed and
// the backup partition table.
const SeedRoomBytes = 8 << 20

func bootable(facts *inventory.Facts, image inventory.Image) error {
	mode := string(facts.Firmware.Mode)
	if facts.Firmware.SecureBoot == inventory.SecureBootOn {
		mode = "secureboot"
	}
	if image.BootsBy(mode) {
		return nil
	}
	return inventory.Invalid("image %s boots by %v and this machine boots by %s", image.Name, image.BootModes, mode)
}

// ResolveImage finds the version that a reference means now.
func ResolveImage(ctx context.Context, x inventory.Tx, text string) (inventory.Image, error) {
	ref, err := inventory.ParseImageRef(text)
	if err != nil {
		return inventory.Image{}, err
	}
	if ref.Digest == "" {
		channels, err := x.Channels(ctx)
		if err != nil {
			return inventory.Image{}, err
		}
		i := slices.IndexFunc(channels, func(c inventory.Channel) bool { return c.Name == ref.Name && c.Channel == ref.Channel })
		if i < 0 {
			return inventory.Image{}, inventory.NotFound("image", ref.String())
		}
		ref.Digest = channels[i].Digest
	}
	return imageByDigest(ctx, x, ref)
}

func imageByDigest(ctx context.Context, x inventory.Tx, ref inventory.ImageRef) (inventory.Image, error) {
	images, err := x.Images(ctx)
	if err != nil {
		return inventory.Image{}, err
	}
	var found []inventory.Image
	for _, image := range images {
		if image.Name == ref.Name && len(image.Digest) >= len(ref.Digest) && image.Digest[:len(ref.Digest)] == ref.Digest {
			found = append(found, image)
		}
	}
	if len(found) > 1 {
		return inventory.Image{}, inventory.Invalid("image %s fits %d versions; give more of the digest", ref, len(found))
	}
	if len(found) == 0 {
		return inventory.Image{}, inventory.NotFound("image", ref.String())
	}
	return found[0], nil
}

// Redeploy orders another version of an image onto a machine that was deployed before, or
// is being deployed; all else that was asked of it stays.
func (l *Lifecycle) Redeploy(ctx context.Context, name, image, by string) (*inventory.Machine, error) {
	return l.edit(ctx, name, func(c *change) error {
		if err := mayWrite(c.m); err != nil {
			return err
		}
		found, err := ResolveImage(ctx, c.x, image)
		if err != nil {
			return err
		}
		s := c.m.Spec
		o := DeployOrder{Image: image, Hostname: s.Hostname, Disk: s.Disk, Overwrite: s.Overwrite, Verify: s.Verify, SSHKeys: s.SSHKeys,
			Addresses: s.Addresses, NetworkFirst: s.NetworkFirst, By: by}
		if err := c.checkFit(o, found); err != nil {
			return err
		}
		if o.UserData, err = c.x.UserData(ctx, c.m.ID); err != nil {
			return err
		}
		c.order(o, found)
		return c.err
	})
}

// Release wipes a machine and puts it back among the ready ones.
func (l *Lifecycle) Release(ctx context.Context, name, by string) (*inventory.Machine, error) {
	return l.edit(ctx, name, func(c *change) error {
		if err := mayWrite(c.m); err != nil {
			return err
		}
		c.m.Spec.Generation++
		c.m.Status.Report, c.m.Status.PhoneHome, c.m.Status.OrderedAt = nil, nil, c.now
		c.m.Spec.Image, c.m.Spec.ImageDigest, c.m.Spec.UserData = "", "", []byte{}
		c.add(inventory.Ordered{Order: "release", Generation: c.m.Spec.Generation, By: by})
		c.apply(inventory.TriggerRelease)
		return c.err
	})
}

// Create takes a new VM into the inventory and orders its image onto it, in one step. A
// host that is not in the inventory is inventory.ErrNotFound.
func (l *Lifecycle) Create(ctx context.Context, m *inventory.Machine, o DeployOrder) error {
	if err := errors.Join(inventory.CheckName(m.Name), m.Spec.VM.Check(), seed.CheckUserData(o.UserData)); err != nil {
		return err
	}
	err := l.Store.Update(ctx, func(x inventory.Tx) error {
		if host := m.Spec.VM.Host; host != inventory.AnyHost {
			if _, err := x.Host(ctx, host); err != nil {
				return err
			}
		}
		image, err := ResolveImage(ctx, x, o.Image)
		if err != nil {
			return err
		}
		fresh := *m // the transaction may run twice
		c := &change{ctx: ctx, x: x, m: &fresh, now: l.Now()}
		if err := c.checkFit(o, image); err != nil {
			return err
		}
		c.order(o, image)
		if err := c.store(); err != nil {
			return err
		}
		*m = fresh
		return nil
	})
	l.Wake()
	return err
}

// Remove takes a VM away: from its host first, then out of the inventory.
func (l *Lifecycle) Remove(ctx context.Context, name, by string) (*inventory.Machine, error) {
	return l.edit(ctx, name, func(c *change) error {
		if c.m.Kind != inventory.KindVM {
			return fmt.Errorf("machine %s is not a VM (ingot machine delete %s): %w", c.m.Name, c.m.Name, inventory.ErrUnsupported)
		}
		if err := mayWrite(c.m); err != nil {
			return err
		}
		c.m.Spec.VM.Remove = true
		c.m.Spec.Generation++
		c.m.Status.Report, c.m.Status.PhoneHome = nil, nil
		c.add(inventory.Ordered{Order: "remove", Generation: c.m.Spec.Generation, By: by})
		c.apply(inventory.TriggerRelease)
		return c.err
	})
}

// Trigger carries out a transition that needs nothing else: retire, revive, rescue,
// return, inspect. They are about the agent, which VMs boot without.
func (l *Lifecycle) Trigger(ctx context.Context, name string, t inventory.Trigger, by string) (*inventory.Machine, error) {
	return l.edit(ctx, name, func(c *change) error {
		if c.m.Status.Locked {
			return mayWrite(c.m)
		}
		if c.m.Kind == inventory.KindVM {
			return fmt.Errorf("%s %s: it is a VM, and that is for metal (ingot vm --help): %w", t, c.m.Name, inventory.ErrUnsupported)
		}
		c.add(inventory.Ordered{Order: string(t), Generation: c.m.Spec.Generation, By: by})
		c.apply(t)
		return c.err
	})
}

// Resume lifts a hold or a conflict after a person looked at it.
func (l *Lifecycle) Resume(ctx context.Context, name string) (*inventory.Machine, error) {
	return l.edit(ctx, name, func(c *change) error {
		c.m.Status.Hold, c.m.Status.Conflict = "", ""
		c.add(inventory.Held{})
		return nil
	})
}

// SetLock locks or unlocks a machine.
func (l *Lifecycle) SetLock(ctx context.Context, name string, locked bool) (*inventory.Machine, error) {
	return l.edit(ctx, name, func(c *change) error {
		c.m.Status.Locked = locked
		return nil
	})
}

// Delete takes a machine out of the inventory; its disks stay as they are. A VM that its
// host has would run on with nobody knowing, so it is removed first; one whose host does
// not answer that can be deleted.
func (l *Lifecycle) Delete(ctx context.Context, name string) error {
	return l.Store.Update(ctx, func(x inventory.Tx) error {
		m, err := x.Machine(ctx, name)
		if err != nil {
			return err
		}
		if m.Status.Locked {
			return mayWrite(m)
		}
		if atHost(m) && (m.Status.State != inventory.Releasing || m.Status.Error == nil) {
			return fmt.Errorf("machine %s is a VM on host %s: ingot vm delete %s (and should that host be gone for good, this after it): %w", m.Name, m.Spec.VM.Host, m.Name, inventory.ErrBusy)
		}
		e, err := inventory.NewEvent(m, l.Now(), inventory.Deleted{})
		if err != nil {
			return err
		}
		if _, err := x.AddEvent(ctx, e); err != nil {
			return err
		}
		return x.DeleteMachine(ctx, m.ID)
	})
}

// atHost reports whether a host has something of a VM, is making it, or takes it away.
func atHost(m *inventory.Machine) bool {
	return m.Spec.VM != nil && m.Spec.VM.Host != inventory.AnyHost && (m.Status.VM != nil || m.Status.State == inventory.Deploying || m.Status.State == inventory.Releasing)
}

// HoldAll stops every write order, because the database was restored from a backup.
func HoldAll(ctx context.Context, x inventory.Tx, l *Lifecycle, reason string) error {
	ms, err := x.Machines(ctx)
	if err != nil {
		return err
	}
	for _, m := range ms {
		m.Status.Hold = reason
		c := &change{ctx: ctx, x: x, m: m, now: l.Now()}
		c.add(inventory.Held{Reason: reason})
		if err := c.store(); err != nil {
			return err
		}
	}
	return nil
}
