package libvirt

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	lv "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"
)

// volumes lists the pool.
func (p pool) volumes(ctx context.Context) ([]lv.StorageVol, error) {
	return ask(ctx, p.link, "list volumes", func(r *lv.Libvirt) ([]lv.StorageVol, error) {
		all, _, err := r.StoragePoolListAllVolumes(p.it, 1, 0)
		return all, err
	})
}

// volume finds one by name.
func (p pool) volume(ctx context.Context, name string) (lv.StorageVol, error) {
	return ask(ctx, p.link, "find volume "+name, func(r *lv.Libvirt) (lv.StorageVol, error) { return r.StorageVolLookupByName(p.it, name) })
}

// path is the file of a volume of that name.
func (p pool) path(name string) string { return path.Join(p.dir, name) }

// describe reads what a volume is.
func (p pool) describe(ctx context.Context, v lv.StorageVol) (libvirtxml.StorageVolume, error) {
	var desc libvirtxml.StorageVolume
	text, err := ask(ctx, p.link, "read volume "+v.Name, func(r *lv.Libvirt) (string, error) { return r.StorageVolGetXMLDesc(v, 0) })
	if err != nil {
		return desc, err
	}
	if err := desc.Unmarshal(text); err != nil {
		return desc, fmt.Errorf("libvirt: read volume %s: %w", v.Name, err)
	}
	return desc, nil
}

// create makes a volume.
func (p pool) create(ctx context.Context, v libvirtxml.StorageVolume) (lv.StorageVol, error) {
	text, err := v.Marshal()
	if err != nil {
		return lv.StorageVol{}, fmt.Errorf("libvirt: create volume %s: %w", v.Name, err)
	}
	return change(ctx, p.link, "create volume "+v.Name, func(r *lv.Libvirt) (lv.StorageVol, error) { return r.StorageVolCreateXML(p.it, text, 0) })
}

// remove deletes a volume; one that is gone is no error. A volume that libvirt still works
// on (an upload whose client went away a moment ago) is tried again.
func (p pool) remove(ctx context.Context, v lv.StorageVol) error {
	for {
		err := do(ctx, p.link, "delete volume "+v.Name, func(r *lv.Libvirt) error { return r.StorageVolDelete(v, lv.StorageVolDeleteNormal) })
		switch {
		case err == nil, missing(err):
			return nil
		case !said(err, lv.ErrOperationInvalid):
			return err
		}
		if pause(ctx, refreshEvery) != nil {
			return errors.Join(err, ctx.Err())
		}
	}
}

// removeAll deletes the volumes whose names begin so.
func (p pool) removeAll(ctx context.Context, prefix string) error {
	all, err := p.volumes(ctx)
	if err != nil {
		return err
	}
	for _, v := range all {
		if strings.HasPrefix(v.Name, prefix) {
			if err := p.remove(ctx, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// raw is a volume that holds just these bytes. Upload fills it: a volume made as qcow2
// would be larger than what is sent, and an upload does not cut the rest off.
func raw(name string, size int64) libvirtxml.StorageVolume {
	return libvirtxml.StorageVolume{Name: name, Capacity: octets(size), Allocation: octets(0),
		Target: &libvirtxml.StorageVolumeTarget{Format: &libvirtxml.StorageVolumeTargetFormat{Type: "raw"}}}
}

func octets(n int64) *libvirtxml.StorageVolumeSize {
	return &libvirtxml.StorageVolumeSize{Unit: "bytes", Value: uint64(n)}
}

func format(v libvirtxml.StorageVolume) string {
	if v.Target == nil || v.Target.Format == nil {
		return ""
	}
	return v.Target.Format.Type
}

func capacity(v libvirtxml.StorageVolume) int64 {
	if v.Capacity == nil {
		return 0
	}
	return int64(v.Capacity.Value)
}

func backing(v libvirtxml.StorageVolume) string {
	if v.BackingStore == nil {
		return ""
	}
	return v.BackingStore.Path
}

func backingFormat(v libvirtxml.StorageVolume) string {
	if v.BackingStore == nil || v.BackingStore.Format == nil {
		return ""
	}
	return v.BackingStore.Format.Type
}
