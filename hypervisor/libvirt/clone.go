package libvirt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	lv "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"ingot/hypervisor"
	"ingot/inventory"
)

// base finds the image, and refuses a disk that is smaller: libvirt would make it.
func (p pool) base(ctx context.Context, spec hypervisor.Spec) (lv.StorageVol, error) {
	if _, err := digestHex(spec.Image); err != nil {
		return lv.StorageVol{}, err
	}
	found, err := p.images(ctx)
	if err != nil {
		return lv.StorageVol{}, err
	}
	if len(found[spec.Image].whole) == 0 {
		return lv.StorageVol{}, inventory.NotFound("image", spec.Image)
	}
	base := found[spec.Image].whole[0]
	desc, err := p.describe(ctx, base)
	if err != nil {
		return base, err
	}
	return base, notSmaller(spec, capacity(desc))
}

// notSmaller refuses a root disk that is smaller than its image.
func notSmaller(spec hypervisor.Spec, imageBytes int64) error {
	if asked := spec.Disks[0].SizeBytes; asked != 0 && asked < imageBytes {
		return inventory.Invalid("root disk of %d bytes is smaller than the image (%d)", asked, imageBytes)
	}
	return nil
}

// makeDisks makes the volumes and looks at each: a clone whose backing format is not
// named becomes garbage to the guest, and one without "compat 1.1" can't grow later.
func (p pool) makeDisks(ctx context.Context, b build, base lv.StorageVol) error {
	for i, file := range b.disks {
		v := libvirtxml.StorageVolume{Name: strings.TrimPrefix(file, p.dir+"/"), Capacity: octets(b.spec.Disks[i].SizeBytes), Allocation: octets(0),
			Target: &libvirtxml.StorageVolumeTarget{Format: &libvirtxml.StorageVolumeTargetFormat{Type: "qcow2"}, Compat: "1.1"}}
		if i == 0 && base.Name != "" {
			if err := p.standOn(ctx, &v, base); err != nil {
				return err
			}
		}
		made, err := p.create(ctx, v)
		if err != nil {
			if gone := p.marked(ctx, base); missing(gone) {
				return gone
			}
			return err
		}
		if err := p.asAsked(ctx, made, v); err != nil {
			return err
		}
	}
	return p.marked(ctx, base)
}

// marked looks whether the image is still there: it may have been removed while a clone
// was made (see removeImage).
func (p pool) marked(ctx context.Context, base lv.StorageVol) error {
	if base.Name == "" {
		return nil
	}
	_, err := p.volume(ctx, strings.TrimSuffix(base.Name, imageSuffix)+wholeSuffix)
	return err
}

// standOn makes a volume a clone.
func (p pool) standOn(ctx context.Context, v *libvirtxml.StorageVolume, base lv.StorageVol) error {
	desc, err := p.describe(ctx, base)
	if err != nil {
		return err
	}
	v.BackingStore = &libvirtxml.StorageVolumeBackingStore{Path: base.Key, Format: &libvirtxml.StorageVolumeTargetFormat{Type: "qcow2"}}
	if v.Capacity.Value == 0 {
		v.Capacity = desc.Capacity
	}
	return nil
}

// asAsked compares a volume with what was asked for.
func (p pool) asAsked(ctx context.Context, made lv.StorageVol, want libvirtxml.StorageVolume) error {
	got, err := p.describe(ctx, made)
	if err != nil {
		return err
	}
	if capacity(got) != capacity(want) || format(got) != format(want) || backing(got) != backing(want) || got.Target.Compat != want.Target.Compat ||
		backingFormat(got) != backingFormat(want) {
		return fmt.Errorf("libvirt: volume %s became %s %s of %d bytes on %q (%s), asked for %s %s of %d on %q (%s)", made.Name,
			format(got), got.Target.Compat, capacity(got), backing(got), backingFormat(got),
			format(want), want.Target.Compat, capacity(want), backing(want), backingFormat(want))
	}
	return nil
}

// makeSeed makes the volume with the seed's bytes.
func (p pool) makeSeed(ctx context.Context, b build) error {
	if b.seed == "" {
		return nil
	}
	v, err := p.create(ctx, raw(seedVolume(b.uuid), int64(len(b.spec.Seed))))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b.spec.Seed)
	return p.fill(ctx, v, bytes.NewReader(b.spec.Seed), int64(len(b.spec.Seed)), hex.EncodeToString(sum[:]), nil)
}
