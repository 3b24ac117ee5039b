package vsphere

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Delete implements hypervisor.Driver. Destroying a machine takes its disks along, also
// the seed's; the directories that are left are looked for by the machine's mark, so that
// a machine that vanished is cleared as well.
func (d *Driver) Delete(ctx context.Context, id string) error {
	m, err := d.find(ctx, id)
	switch {
	case errors.Is(err, inventory.ErrNotFound):
	case err != nil:
		return err
	default:
		if power(m.Runtime.PowerState) != hypervisor.Off {
			if err := d.powerOff(ctx, m); err != nil {
				return err
			}
		}
		if err := d.destroy(ctx, m); err != nil {
			return err
		}
	}
	left, err := d.directories(ctx, "*"+mark(d.config.Owner, id)+"*")
	if err != nil || len(left) == 0 {
		return err
	}
	return d.clearDirectories(ctx, left)
}

// clearDirectories removes directories at the top of the datastore, unless a machine that
// is there has its files in one: it may have been given to somebody else.
func (d *Driver) clearDirectories(ctx context.Context, names []string) error {
	all, err := d.all(ctx, vmPaths)
	if err != nil {
		return err
	}
	used := map[string]string{}
	for _, m := range all {
		if m.Config == nil {
			continue
		}
		files := []string{m.Config.Files.VmPathName}
		for _, d := range m.Config.Hardware.Device { // the seed too
			if disk, ok := d.(*types.VirtualDisk); ok {
				files = append(files, chainOf(disk)...)
			}
		}
		for _, file := range files {
			used[directoryOf(file, d.place.datastore.Name)] = m.Name
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if by, ok := used[name]; ok {
			return fmt.Errorf("directory %s is in use by machine %s: %w", d.onDatastore(name), by, inventory.ErrBusy)
		}
		if err := d.removeFile(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// directoryOf is the directory of a file on a datastore; empty for one elsewhere.
func directoryOf(file, datastore string) string {
	var p object.DatastorePath
	if !p.FromString(file) || p.Datastore != datastore {
		return ""
	}
	return path.Dir(p.Path)
}
