package vsphere

import (
	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
)

// machineConfig is what a machine is beside its root disk. controller is the key of the SCSI
// controller that its disks are on. The annotation is there because a clone has its
// image's otherwise.
func (d *Driver) machineConfig(j job, controller int32) types.VirtualMachineConfigSpec {
	uuid := hypervisor.UUID(d.config.Owner, j.spec.ID)
	config := types.VirtualMachineConfigSpec{InstanceUuid: uuid, Uuid: uuid, NumCPUs: int32(j.spec.CPUs), MemoryMB: j.spec.MemoryBytes >> 20,
		Firmware: firmwareOf(j.spec.Firmware), ExtraConfig: d.notes(j), Annotation: "Made by Ingot for " + d.config.Owner + ": " + j.spec.Name}
	if j.spec.SecureBoot {
		config.BootOptions = &types.VirtualMachineBootOptions{EfiSecureBootEnabled: types.NewBool(true)}
	}
	for i, disk := range j.spec.Disks[1:] {
		config.DeviceChange = append(config.DeviceChange, d.newDisk(diskUnit(i+1), disk.SizeBytes, controller, ""))
	}
	if len(j.spec.Seed) > 0 {
		config.DeviceChange = append(config.DeviceChange, d.seedDisk(j.spec.ID, j.spec.Seed, controller))
	}
	config.DeviceChange = append(config.DeviceChange, j.cards...)
	if j.spec.TPM {
		config.DeviceChange = append(config.DeviceChange, &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd,
			Device: &types.VirtualTPM{VirtualDevice: types.VirtualDevice{Key: newTPM}}})
	}
	return config
}

// notes are the machine's marks. An empty value takes a key away that a clone has from
// its image.
func (d *Driver) notes(j job) []types.BaseOptionValue {
	return []types.BaseOptionValue{
		&types.OptionValue{Key: keyID, Value: j.spec.ID}, &types.OptionValue{Key: keyOwner, Value: d.config.Owner},
		&types.OptionValue{Key: keyImage, Value: j.spec.Image}, &types.OptionValue{Key: keyName, Value: j.spec.Name},
	}
}

// diskUnit is the SCSI unit of disk n.
func diskUnit(n int) int32 {
	if n >= controllerUnit {
		n++
	}
	return int32(n)
}

// newDisk makes a thin disk, or attaches the file of one.
func (d *Driver) newDisk(unit int32, size int64, controller int32, file string) types.BaseVirtualDeviceConfigSpec {
	add := &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: &types.VirtualDisk{
		VirtualDevice: types.VirtualDevice{Key: -101 - unit, ControllerKey: controller, UnitNumber: &unit,
			Backing: &types.VirtualDiskFlatVer2BackingInfo{DiskMode: string(types.VirtualDiskModePersistent), ThinProvisioned: types.NewBool(true),
				VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{FileName: file, Datastore: &d.place.datastore.Self}}},
		CapacityInBytes: size, CapacityInKB: size >> 10}}
	if file == "" {
		add.FileOperation = types.VirtualDeviceConfigSpecFileOperationCreate
	}
	return add
}

// cloneRequest makes a machine of an image on vCenter in one task: it is there whole, with
// its marks, or not at all.
func (d *Driver) cloneRequest(j job, folder types.ManagedObjectReference) *types.CloneVM_Task {
	config := d.machineConfig(j, j.image.disk.ControllerKey)
	move := linkedMove
	if j.clone == hypervisor.FullCopy {
		move = fullMove
		grown := *j.image.disk
		grown.CapacityInBytes, grown.CapacityInKB = j.rootSize(), j.rootSize()>>10
		config.DeviceChange = append([]types.BaseVirtualDeviceConfigSpec{
			&types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationEdit, Device: &grown}}, config.DeviceChange...)
	}
	return &types.CloneVM_Task{This: j.image.vm.Self, Folder: folder, Name: j.name, Spec: types.VirtualMachineCloneSpec{
		Location: types.VirtualMachineRelocateSpec{DiskMoveType: string(move), Pool: d.place.compute.ResourcePool, Datastore: &d.place.datastore.Self},
		Config:   &config, Snapshot: j.image.snapshot, PowerOn: false, Template: false}}
}

// createRequest makes a machine of a disk that was copied for it (file), or with an empty
// one.
func (d *Driver) createRequest(j job, folder types.ManagedObjectReference, directory, file string) *types.CreateVM_Task {
	config := d.machineConfig(j, newController)
	scsi := &types.ParaVirtualSCSIController{}
	scsi.Key, scsi.SharedBus = newController, types.VirtualSCSISharingNoSharing
	config.DeviceChange = append([]types.BaseVirtualDeviceConfigSpec{
		&types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: scsi},
		d.newDisk(0, j.rootSize(), newController, file)}, config.DeviceChange...)
	config.Name, config.Version, config.GuestId = j.name, hardwareVersion, defaultGuestID
	config.Files = &types.VirtualMachineFileInfo{VmPathName: d.onDatastore(directory + "/" + j.name + ".vmx")}
	config.Firmware = j.firmware()
	return &types.CreateVM_Task{This: folder, Config: config, Pool: *d.place.compute.ResourcePool}
}
