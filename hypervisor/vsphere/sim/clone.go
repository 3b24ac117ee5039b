package sim

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const linked = string(types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking)

// CloneVMTask copies firmware, boot options and notes, puts linked disks on their parents,
// and leaves nothing when its configuration is refused.
func (m machine) CloneVMTask(ctx *simulator.Context, req *types.CloneVM_Task) soap.HasFault {
	ref := m.s.task(ctx, m.Self, "CloneVM_Task", func(own *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		return m.clone(own, req)
	})
	return &methods.CloneVM_TaskBody{Res: &types.CloneVM_TaskResponse{Returnval: ref}}
}

func (m machine) clone(ctx *simulator.Context, req *types.CloneVM_Task) (types.AnyType, types.BaseMethodFault) {
	source := m.Config
	if req.Spec.Snapshot != nil {
		source = &m.s.registry().Get(*req.Spec.Snapshot).(*simulator.VirtualMachineSnapshot).Config
	}
	bare := *req
	bare.Spec.PowerOn = false
	bare.Spec.Config = new(types.VirtualMachineConfigSpec)
	if asked := req.Spec.Config; asked != nil {
		bare.Spec.Config.Uuid, bare.Spec.Config.InstanceUuid = asked.Uuid, asked.InstanceUuid
	}
	made, fault := under(ctx, m.VirtualMachine, func() soap.HasFault { return m.VirtualMachine.CloneVMTask(ctx, &bare) })
	if fault != nil {
		return nil, fault
	}
	vm := m.s.registry().Get(made.(types.ManagedObjectReference)).(*simulator.VirtualMachine)
	m.s.inherit(ctx, vm, source, req.Spec.Location.DiskMoveType == linked)
	fault = m.s.reconfigure(ctx, vm, types.VirtualMachineConfigSpec{Firmware: source.Firmware, Annotation: source.Annotation, BootOptions: source.BootOptions, ExtraConfig: slices.Clone(source.ExtraConfig)})
	if fault == nil && req.Spec.Config != nil {
		fault = m.s.reconfigure(ctx, vm, rewritten(*req.Spec.Config, vm))
	}
	if fault != nil {
		m.s.destroy(ctx, vm)
		return nil, fault
	}
	return made, nil
}

// inherit gives a clone's disks their parents.
func (s *Server) inherit(ctx *simulator.Context, vm *simulator.VirtualMachine, source *types.VirtualMachineConfigInfo, link bool) {
	if !link {
		return
	}
	ctx.WithLock(vm, func() {
		for _, d := range disks(vm.Config.Hardware.Device) {
			if from := at(disks(source.Hardware.Device), d); from != nil {
				parent := *flat(from)
				flat(d).Parent = &parent
			}
		}
		ctx.Update(vm, []types.PropertyChange{{Name: "config.hardware.device", Val: vm.Config.Hardware.Device}})
	})
}

// rewritten makes the edits of a source's disks edits of the clone's.
func rewritten(spec types.VirtualMachineConfigSpec, vm *simulator.VirtualMachine) types.VirtualMachineConfigSpec {
	changes := slices.Clone(spec.DeviceChange)
	for i, c := range changes {
		change := *c.GetVirtualDeviceConfigSpec()
		disk, ok := change.Device.(*types.VirtualDisk)
		if !ok || change.Operation != types.VirtualDeviceConfigSpecOperationEdit {
			continue
		}
		if own := at(disks(vm.Config.Hardware.Device), disk); own != nil {
			grown := *own
			grown.CapacityInBytes, grown.CapacityInKB = disk.CapacityInBytes, disk.CapacityInKB
			change.Device = &grown
			changes[i] = &change
		}
	}
	spec.DeviceChange = changes
	return spec
}
