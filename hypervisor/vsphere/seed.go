package vsphere

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vmdk"

	"ingot/inventory"
)

// The seed is a disk of its own, written as the two files of a flat VMDK: guestinfo is
// limited to 64 KiB a value (vmware-tanzu/vm-operator#148), stays readable in vCenter and
// needs guest tools, and a FAT file system is not an ISO.
const (
	seedDescriptor = "seed.vmdk"
	seedExtent     = "seed-flat.vmdk"
	// seedGrain is what a seed is padded to: VMFS allocates whole MiB.
	seedGrain = 1 << 20
)

// objectStores are the types of datastores that keep disks as objects and not as files
// (HostFileSystemVolumeFileSystemType).
var objectStores = []string{"vsan", "VVOL", "vsanD"}

// putSeed writes a machine's seed into a directory of its own, which is made if need be.
func (d *Driver) putSeed(ctx context.Context, id string, seed []byte) error {
	if len(seed) == 0 {
		return nil
	}
	if kind := d.place.datastore.Summary.Type; slices.Contains(objectStores, kind) {
		return fmt.Errorf("datastore %s is %s, where a disk can't be written as files: name a VMFS or NFS datastore: %w", d.place.datastore.Name, kind, inventory.ErrUnsupported)
	}
	dir := seedDirectory(d.config.Owner, id)
	if err := d.makeDirectory(ctx, dir); err != nil && !errors.Is(err, inventory.ErrConflict) {
		return err
	}
	size := seedSize(seed)
	padded := append(bytes.Clone(seed), make([]byte, int(size)-len(seed))...)
	text, err := flatDescriptor(size)
	if err != nil {
		return err
	}
	if err := d.put(ctx, dir+"/"+seedExtent, padded); err != nil {
		return err
	}
	return d.put(ctx, dir+"/"+seedDescriptor, []byte(text))
}

func seedSize(seed []byte) int64 { return int64(len(seed)+seedGrain-1) / seedGrain * seedGrain }

// flatDescriptor describes a flat extent (Virtual Disk Format 5.0, "The Descriptor File").
func flatDescriptor(size int64) (string, error) {
	desc := vmdk.NewDescriptor(vmdk.Extent{Size: size / vmdk.SectorSize, Info: seedExtent})
	desc.CID, desc.ParentCID = 0xfffffffe, 0xffffffff
	const heads, sectors = 64, 32
	desc.DDB = map[string]string{"adapterType": "lsilogic", "virtualHWVersion": "14",
		"geometry.heads": fmt.Sprint(heads), "geometry.sectors": fmt.Sprint(sectors), "geometry.cylinders": fmt.Sprint(size / vmdk.SectorSize / heads / sectors)}
	var b strings.Builder
	if err := desc.Write(&b); err != nil {
		return "", fmt.Errorf("describe seed: %w", err)
	}
	return b.String(), nil
}

// seedDisk attaches the seed. It is independent: a machine's snapshots leave it alone, so
// its file keeps its name and goes with the machine.
func (d *Driver) seedDisk(id string, seed []byte, controller int32) types.BaseVirtualDeviceConfigSpec {
	return &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: &types.VirtualDisk{
		VirtualDevice: types.VirtualDevice{Key: -150, ControllerKey: controller, UnitNumber: types.NewInt32(seedUnit),
			Backing: &types.VirtualDiskFlatVer2BackingInfo{DiskMode: string(types.VirtualDiskModeIndependent_persistent),
				VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{
					FileName: d.onDatastore(seedDirectory(d.config.Owner, id) + "/" + seedDescriptor), Datastore: &d.place.datastore.Self}}},
		CapacityInBytes: seedSize(seed), CapacityInKB: seedSize(seed) >> 10}}
}
