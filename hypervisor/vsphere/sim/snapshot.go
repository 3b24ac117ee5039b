package sim

import (
	"path"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// CreateSnapshotTask puts the machine's disks on top of the kept ones.
func (m machine) CreateSnapshotTask(ctx *simulator.Context, req *types.CreateSnapshot_Task) soap.HasFault {
	ref := m.s.task(ctx, m.Self, "CreateSnapshot_Task", func(own *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		made, fault := under(own, m.VirtualMachine, func() soap.HasFault { return m.VirtualMachine.CreateSnapshotTask(own, req) })
		if fault == nil {
			fault = m.s.onTop(own, m.VirtualMachine)
		}
		return made, fault
	})
	return &methods.CreateSnapshot_TaskBody{Res: &types.CreateSnapshot_TaskResponse{Returnval: ref}}
}

// onTop gives all disks that snapshots keep new files on top.
func (s *Server) onTop(ctx *simulator.Context, vm *simulator.VirtualMachine) types.BaseMethodFault {
	var fault types.BaseMethodFault
	ctx.WithLock(vm, func() {
		for _, d := range disks(vm.Config.Hardware.Device) {
			if fault == nil && !independent(d) {
				fault = s.delta(d)
			}
		}
		ctx.Update(vm, []types.PropertyChange{{Name: "config.hardware.device", Val: vm.Config.Hardware.Device}})
	})
	return fault
}

// kept is a snapshot that can really be gone back to.
type kept struct {
	*simulator.VirtualMachineSnapshot
	s *Server
}

func (k kept) machine() *simulator.VirtualMachine {
	return k.s.registry().Get(k.Vm).(*simulator.VirtualMachine)
}

// RevertToSnapshotTask brings back configuration, disks and power state; without memory in
// the snapshot that is off.
func (k kept) RevertToSnapshotTask(ctx *simulator.Context, req *types.RevertToSnapshot_Task) soap.HasFault {
	vm := k.machine()
	ref := k.s.task(ctx, vm.Self, "RevertToSnapshot_Task", func(own *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		own.WithLock(vm, func() {
			for _, d := range disks(vm.Config.Hardware.Device) {
				if !independent(d) && flat(d).Parent != nil {
					k.s.removeDisk(fileOf(d))
				}
			}
			config := k.Config
			config.Hardware.Device = copied(k.Config.Hardware.Device)
			vm.Config = &config
			own.Update(vm, []types.PropertyChange{
				{Name: "config.hardware.device", Val: config.Hardware.Device},
				{Name: "runtime.powerState", Val: types.VirtualMachinePowerStatePoweredOff},
				{Name: "summary.runtime.powerState", Val: types.VirtualMachinePowerStatePoweredOff},
				{Name: "snapshot.currentSnapshot", Val: k.Self},
			})
		})
		return nil, k.s.onTop(own, vm)
	})
	return &methods.RevertToSnapshot_TaskBody{Res: &types.RevertToSnapshot_TaskResponse{Returnval: ref}}
}

// copied are devices whose disks can be changed alone.
func copied(devices []types.BaseVirtualDevice) []types.BaseVirtualDevice {
	out := make([]types.BaseVirtualDevice, len(devices))
	for i, d := range devices {
		out[i] = d
		if disk, ok := d.(*types.VirtualDisk); ok {
			c := *disk
			if b := flat(disk); b != nil {
				backing := *b
				c.Backing = &backing
			}
			out[i] = &c
		}
	}
	return out
}

// RemoveSnapshotTask folds the disks together when no snapshot is left. vcsim panics when
// the current snapshot is a root with children, so it is no longer current before.
func (k kept) RemoveSnapshotTask(ctx *simulator.Context, req *types.RemoveSnapshot_Task) soap.HasFault {
	vm := k.machine()
	ref := k.s.task(ctx, vm.Self, "RemoveSnapshot_Task", func(own *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		own.WithLock(vm, func() {
			if current := vm.Snapshot.CurrentSnapshot; current != nil && *current == k.Self {
				vm.Snapshot.CurrentSnapshot = nil
			}
		})
		result, fault := under(own, vm, func() soap.HasFault { return k.VirtualMachineSnapshot.RemoveSnapshotTask(own, req) })
		if fault == nil && len(snapshots(vm)) == 0 {
			k.s.fold(own, vm)
		}
		return result, fault
	})
	return &methods.RemoveSnapshot_TaskBody{Res: &types.RemoveSnapshot_TaskResponse{Returnval: ref}}
}

// fold leaves of each disk's chain the lowest file in the machine's own directory, and
// what that stands on.
func (s *Server) fold(ctx *simulator.Context, vm *simulator.VirtualMachine) {
	ctx.WithLock(vm, func() {
		dir := path.Dir(vm.Config.Files.VmPathName)
		for _, d := range disks(vm.Config.Hardware.Device) {
			b := flat(d)
			for !independent(d) && b.Parent != nil && path.Dir(b.Parent.FileName) == dir {
				s.removeDisk(b.FileName)
				b = b.Parent
			}
			d.Backing = b
		}
		ctx.Update(vm, []types.PropertyChange{{Name: "config.hardware.device", Val: vm.Config.Hardware.Device}})
	})
}
