package sim

import (
	"os"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vmdk"
)

// diskEdits are the changes to disks that are there, with the disks.
func diskEdits(spec *types.VirtualMachineConfigSpec, vm *simulator.VirtualMachine, f func(i int, was, is *types.VirtualDisk) types.BaseMethodFault) types.BaseMethodFault {
	if spec == nil || vm == nil {
		return nil
	}
	for i, c := range spec.DeviceChange {
		change := c.GetVirtualDeviceConfigSpec()
		is, ok := change.Device.(*types.VirtualDisk)
		if !ok || change.Operation != types.VirtualDeviceConfigSpecOperationEdit {
			continue
		}
		if was := at(disks(vm.Config.Hardware.Device), is); was != nil {
			if fault := f(i, was, is); fault != nil {
				return fault
			}
		}
	}
	return nil
}

func refusedDisk(i int) types.BaseMethodFault {
	return &types.InvalidDeviceOperation{InvalidDeviceSpec: types.InvalidDeviceSpec{DeviceIndex: int32(i)}}
}

func largerLinkedDisk(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	req, ok := body.(*types.CloneVM_Task)
	if !ok || req.Spec.Location.DiskMoveType != linked {
		return nil
	}
	return diskEdits(req.Spec.Config, s.machineOf(this), func(i int, was, is *types.VirtualDisk) types.BaseMethodFault {
		if is.CapacityInBytes > was.CapacityInBytes || is.CapacityInKB > was.CapacityInKB {
			return refusedDisk(i)
		}
		return nil
	})
}

func growChild(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	req, ok := body.(*types.ReconfigVM_Task)
	if !ok {
		return nil
	}
	vm := s.machineOf(this)
	return diskEdits(&req.Spec, vm, func(i int, was, is *types.VirtualDisk) types.BaseMethodFault {
		if is.CapacityInBytes > was.CapacityInBytes && (len(chain(was)) > 1 || len(snapshots(vm)) > 0) {
			return refusedDisk(i)
		}
		return nil
	})
}

// absentFile also refuses a file that was written over HTTP and is shorter than its
// descriptor says.
func absentFile(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	spec, _ := s.configOf(this, body)
	if spec == nil {
		return nil
	}
	for _, c := range spec.DeviceChange {
		change := c.GetVirtualDeviceConfigSpec()
		disk, ok := change.Device.(*types.VirtualDisk)
		if !ok || change.Operation != types.VirtualDeviceConfigSpecOperationAdd || change.FileOperation != "" {
			continue
		}
		if name := fileOf(disk); name != "" && !s.complete(name) {
			return &types.FileNotFound{FileFault: types.FileFault{File: name}}
		}
	}
	return nil
}

// complete tells whether a disk's files are there.
func (s *Server) complete(name string) bool {
	f, err := os.Open(s.file(name))
	if err != nil {
		return false
	}
	defer f.Close()
	desc, err := vmdk.ParseDescriptor(f)
	if err != nil || len(desc.Extent) != 1 {
		return false
	}
	extent := simulator.VirtualDiskBackingFileName(s.file(name))
	info, err := os.Stat(extent)
	s.mu.Lock()
	defer s.mu.Unlock()
	return err == nil && (!s.uploads[extent] || info.Size() == desc.Capacity())
}
