package sim

import (
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// machine is a virtual machine whose clones, snapshots and end are like the real ones.
type machine struct {
	*simulator.VirtualMachine
	s *Server
}

// task runs work as a task that can be held back and cancelled. It locks nothing itself:
// while it is held back, the machine can be looked at.
func (s *Server) task(ctx *simulator.Context, on types.ManagedObjectReference, method string, work func(*simulator.Context) (types.AnyType, types.BaseMethodFault)) types.ManagedObjectReference {
	s.mu.Lock()
	s.tasks++
	nobody := types.ManagedObjectReference{Type: on.Type, Value: on.Value + "-task"}
	nobody.Value += time.Duration(s.tasks).String()
	s.mu.Unlock()
	cancel := make(chan struct{})
	t := simulator.CreateTask(nobody, method, func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		if !s.heldBack(method, cancel) {
			return nil, new(types.RequestCanceled)
		}
		s.work.Lock()
		defer s.work.Unlock()
		own := *ctx
		return work(&own)
	})
	ref := t.Run(ctx)
	s.cancels.Store(ref, cancel)
	return ref
}

// cancellable is a task of ours.
type cancellable struct {
	*simulator.Task
	s      *Server
	cancel chan struct{}
}

// CancelTask asks a task to end; it does so in its own time.
func (c cancellable) CancelTask(_ *simulator.Context, req *types.CancelTask) soap.HasFault {
	if _, there := c.s.cancels.LoadAndDelete(req.This); there {
		close(c.cancel)
	}
	return &methods.CancelTaskBody{Res: new(types.CancelTaskResponse)}
}

// wait is the end of a task of vcsim's own.
func wait(ctx *simulator.Context, ref types.ManagedObjectReference) (types.AnyType, types.BaseMethodFault) {
	t := ctx.Map.Get(ref).(*simulator.Task)
	t.Wait()
	var info types.TaskInfo
	(&simulator.Context{Map: ctx.Map}).WithLock(t, func() { info = t.Info })
	if info.Error != nil {
		return nil, info.Error.Fault
	}
	return info.Result, nil
}

// started is the task in an answer, or the fault.
func started(res soap.HasFault) (types.ManagedObjectReference, types.BaseMethodFault) {
	if f := res.Fault(); f != nil {
		fault, _ := f.VimFault().(types.BaseMethodFault)
		return types.ManagedObjectReference{}, fault
	}
	switch b := res.(type) {
	case *methods.CloneVM_TaskBody:
		return b.Res.Returnval, nil
	case *methods.ReconfigVM_TaskBody:
		return b.Res.Returnval, nil
	case *methods.CreateSnapshot_TaskBody:
		return b.Res.Returnval, nil
	case *methods.RemoveSnapshot_TaskBody:
		return b.Res.Returnval, nil
	case *methods.PowerOnVM_TaskBody:
		return b.Res.Returnval, nil
	case *methods.CreateVM_TaskBody:
		return b.Res.Returnval, nil
	case *methods.CopyVirtualDisk_TaskBody:
		return b.Res.Returnval, nil
	}
	return types.ManagedObjectReference{}, new(types.NotImplemented)
}

// under calls a method of vcsim with the object's lock, and waits for its task.
func under(ctx *simulator.Context, on interface {
	Reference() types.ManagedObjectReference
}, call func() soap.HasFault) (types.AnyType, types.BaseMethodFault) {
	var ref types.ManagedObjectReference
	var fault types.BaseMethodFault
	ctx.WithLock(on, func() { ref, fault = started(call()) })
	if fault != nil {
		return nil, fault
	}
	return wait(ctx, ref)
}

func (s *Server) reconfigure(ctx *simulator.Context, vm *simulator.VirtualMachine, spec types.VirtualMachineConfigSpec) types.BaseMethodFault {
	_, fault := under(ctx, vm, func() soap.HasFault { return vm.ReconfigVMTask(ctx, &types.ReconfigVM_Task{This: vm.Self, Spec: spec}) })
	return fault
}

// PowerOnVMTask waits for ever while a question is open.
func (m machine) PowerOnVMTask(ctx *simulator.Context, req *types.PowerOnVM_Task) soap.HasFault {
	ref := m.s.task(ctx, m.Self, "PowerOnVM_Task", func(own *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		return under(own, m.VirtualMachine, func() soap.HasFault { return m.VirtualMachine.PowerOnVMTask(own, req) })
	})
	return &methods.PowerOnVM_TaskBody{Res: &types.PowerOnVM_TaskResponse{Returnval: ref}}
}

// DestroyTask removes what is the machine's, and nothing else.
func (m machine) DestroyTask(ctx *simulator.Context, req *types.Destroy_Task) soap.HasFault {
	ref := m.s.task(ctx, m.Self, "Destroy_Task", func(own *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		return nil, m.s.destroy(own, m.VirtualMachine)
	})
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: ref}}
}

func (s *Server) destroy(ctx *simulator.Context, vm *simulator.VirtualMachine) types.BaseMethodFault {
	var fault types.BaseMethodFault
	var others []*types.VirtualMachineConfigInfo
	ctx.WithLock(vm, func() {
		if s.registry().Get(vm.Self) == nil {
			fault = &types.ManagedObjectNotFound{Obj: vm.Self}
			return
		}
		for _, snapshot := range snapshots(vm) {
			if obj, ok := s.registry().Get(snapshot).(*simulator.VirtualMachineSnapshot); ok {
				others = append(others, &obj.Config)
			}
		}
		if f := vm.UnregisterVM(ctx, &types.UnregisterVM{This: vm.Self}).Fault(); f != nil {
			fault, _ = f.VimFault().(types.BaseMethodFault)
			return
		}
		s.removeMachine(vm.Config, others...)
	})
	return fault
}

func snapshots(vm *simulator.VirtualMachine) []types.ManagedObjectReference {
	if vm.Snapshot == nil {
		return nil
	}
	return inTree(vm.Snapshot.RootSnapshotList)
}

func inTree(tree []types.VirtualMachineSnapshotTree) []types.ManagedObjectReference {
	var all []types.ManagedObjectReference
	for _, s := range tree {
		all = append(append(all, s.Snapshot), inTree(s.ChildSnapshotList)...)
	}
	return all
}
