package sim

import (
	"path"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	nameMax   = 80
	pageLimit = 500
)

func noSession(_ *Server, ctx *simulator.Context, _ types.ManagedObjectReference, body any) types.BaseMethodFault {
	req, ok := body.(*types.RetrievePropertiesEx)
	if !ok || ctx.Session != nil {
		return nil
	}
	for _, spec := range req.SpecSet {
		for _, o := range spec.ObjectSet {
			if o.Obj != vim25.ServiceInstance {
				return &types.NotAuthenticated{NoPermission: types.NoPermission{Object: &o.Obj, PrivilegeId: "System.View"}}
			}
		}
	}
	return nil
}

// pages also cuts pages to what the server likes to send.
func pages(_ *Server, _ *simulator.Context, _ types.ManagedObjectReference, body any) types.BaseMethodFault {
	req, ok := body.(*types.RetrievePropertiesEx)
	if !ok {
		return nil
	}
	if req.Options.MaxObjects < 0 {
		return &types.InvalidArgument{InvalidProperty: "options.maxObjects"}
	}
	if req.Options.MaxObjects == 0 || req.Options.MaxObjects > pageLimit {
		req.Options.MaxObjects = pageLimit
	}
	return nil
}

func cloneOnESX(s *Server, _ *simulator.Context, _ types.ManagedObjectReference, body any) types.BaseMethodFault {
	if _, ok := body.(*types.CloneVM_Task); ok && s.options.ESX {
		return new(types.NotSupported)
	}
	return nil
}

func folderOnESX(s *Server, _ *simulator.Context, _ types.ManagedObjectReference, body any) types.BaseMethodFault {
	if _, ok := body.(*types.CreateFolder); ok && s.options.ESX {
		return new(types.NotSupported)
	}
	return nil
}

func linkedWithoutSnapshot(_ *Server, _ *simulator.Context, _ types.ManagedObjectReference, body any) types.BaseMethodFault {
	if req, ok := body.(*types.CloneVM_Task); ok && req.Spec.Location.DiskMoveType == linked && req.Spec.Snapshot == nil {
		return &types.InvalidArgument{InvalidProperty: "spec.snapshot"}
	}
	return nil
}

func unknownSnapshot(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	req, ok := body.(*types.CloneVM_Task)
	if !ok || req.Spec.Snapshot == nil {
		return nil
	}
	if obj, ok := s.registry().Get(*req.Spec.Snapshot).(*simulator.VirtualMachineSnapshot); ok && obj.Vm == this {
		return nil
	}
	return &types.ManagedObjectNotFound{Obj: *req.Spec.Snapshot}
}

// machineOf is the machine that a call is about.
func (s *Server) machineOf(this types.ManagedObjectReference) *simulator.VirtualMachine {
	vm, _ := s.registry().Get(this).(*simulator.VirtualMachine)
	return vm
}

func destroyBase(s *Server, ctx *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	vm := s.machineOf(this)
	if _, ok := body.(*types.Destroy_Task); !ok || vm == nil {
		return nil
	}
	own, dir := map[string]bool{}, path.Dir(vm.Config.Files.VmPathName)
	for _, d := range disks(vm.Config.Hardware.Device) {
		for _, file := range chain(d) {
			own[file] = path.Dir(file) == dir
		}
	}
	for _, other := range s.VMs() {
		if other.Self == this {
			continue
		}
		for _, d := range disks(other.Config.Hardware.Device) {
			if files := chain(d); len(files) > 1 && slices.ContainsFunc(files[1:], func(f string) bool { return own[f] }) {
				return &types.FileLocked{FileFault: types.FileFault{File: files[len(files)-1]}}
			}
		}
	}
	return nil
}

func shutdownWithoutTools(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	vm := s.machineOf(this)
	if _, ok := body.(*types.ShutdownGuest); !ok || vm == nil || vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		return nil
	}
	if run, ok := s.tools.Load(vm.Config.InstanceUuid); ok && run.(bool) {
		return nil
	}
	return new(types.ToolsUnavailable)
}

func resizeRunning(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	vm := s.machineOf(this)
	req, ok := body.(*types.ReconfigVM_Task)
	if !ok || vm == nil || vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn || req.Spec.NumCPUs == 0 && req.Spec.MemoryMB == 0 {
		return nil
	}
	return &types.InvalidPowerState{RequestedState: types.VirtualMachinePowerStatePoweredOff, ExistingState: vm.Runtime.PowerState}
}

// naming is the name that a call gives, and the folder it is to be in.
func naming(this types.ManagedObjectReference, body any) (string, types.ManagedObjectReference) {
	switch req := body.(type) {
	case *types.CloneVM_Task:
		return req.Name, req.Folder
	case *types.CreateVM_Task:
		return req.Config.Name, this
	case *types.ImportVApp:
		if spec, ok := req.Spec.(*types.VirtualMachineImportSpec); ok && req.Folder != nil {
			return spec.ConfigSpec.Name, *req.Folder
		}
	case *types.CreateFolder:
		return req.Name, this
	case *types.CreateSnapshot_Task:
		return req.Name, types.ManagedObjectReference{}
	case *types.Rename_Task:
		return req.NewName, types.ManagedObjectReference{}
	}
	return "", types.ManagedObjectReference{}
}

func longName(_ *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	if name, _ := naming(this, body); len(name) > nameMax {
		return &types.InvalidName{Name: name}
	}
	return nil
}

func duplicateName(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	name, in := naming(this, body)
	f, ok := s.registry().Get(in).(*simulator.Folder)
	if name == "" || !ok {
		return nil
	}
	var children []types.ManagedObjectReference
	own := s.context()
	own.WithLock(f, func() { children = slices.Clone(f.ChildEntity) })
	for _, ref := range children {
		if e, ok := s.registry().Get(ref).(mo.Entity); ok && e.Entity().Name == name {
			return &types.DuplicateName{Name: name, Object: ref}
		}
	}
	return nil
}

func smallUEFI(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	vm := s.machineOf(this)
	if _, ok := body.(*types.PowerOnVM_Task); !ok || vm == nil || vm.Config.Firmware != efi || vm.Config.Hardware.MemoryMB >= uefiMemory {
		return nil
	}
	return &types.GenericVmConfigFault{Reason: "UEFI needs at least 96 MB"}
}
