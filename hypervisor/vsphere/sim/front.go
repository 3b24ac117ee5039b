package sim

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// nowhere is the reference of a call that the front answers: vcsim looks a call's object
// up a second time in the session's registry, and would find its own.
var nowhere = types.ManagedObjectReference{Type: "Front", Value: "front"}

// handle is vcsim's hook for each call: it refuses, or names who answers.
func (s *Server) handle(ctx *simulator.Context, m *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if ctx.Session != nil && ctx.Session.UserName == "" {
		return nil, nil // vcsim's call of itself
	}
	for _, r := range table {
		if r.check == nil {
			continue
		}
		if fault := r.check(s, ctx, m.This, m.Body); fault != nil {
			return nil, fault
		}
	}
	if by := s.answers(ctx, m); by != nil {
		m.This = nowhere
		return by, nil
	}
	return nil, nil
}

// answers is who answers a call in vcsim's place; nil leaves it to vcsim.
func (s *Server) answers(ctx *simulator.Context, m *simulator.Method) mo.Reference {
	if ctx.Session == nil {
		return nil
	}
	switch m.Name {
	case "HttpNfcLeaseProgress", "HttpNfcLeaseComplete", "HttpNfcLeaseAbort":
		if l, ok := s.leases.Load(m.This.Value); ok {
			return l.(*lease)
		}
		return nil
	case "CancelTask":
		t, _ := s.registry().Get(m.This).(*simulator.Task)
		if cancel, ok := s.cancels.Load(m.This); ok && t != nil {
			return &cancellable{t, s, cancel.(chan struct{})}
		}
		return nil
	}
	return s.standIn(s.registry().Get(m.This), m.Name)
}

// standIn wraps an object of vcsim for the methods that the front has of it.
func (s *Server) standIn(object mo.Reference, method string) mo.Reference {
	switch o := object.(type) {
	case *simulator.VirtualMachine:
		switch method {
		case "CloneVM_Task", "CreateSnapshot_Task", "Destroy_Task", "PowerOnVM_Task":
			return &machine{o, s}
		}
	case *simulator.VirtualMachineSnapshot:
		switch method {
		case "RevertToSnapshot_Task", "RemoveSnapshot_Task":
			return &kept{o, s}
		}
	case *simulator.ResourcePool:
		if method == "ImportVApp" {
			return &pool{o, s}
		}
	case *simulator.Folder:
		if method == "CreateVM_Task" {
			return &folder{o, s}
		}
	case *simulator.AuthorizationManager:
		if method == "HasPrivilegeOnEntities" {
			return &rights{o, s}
		}
	case *simulator.VirtualDiskManager:
		if method == "CopyVirtualDisk_Task" {
			return &copier{o, s}
		}
	}
	return nil
}

// folder makes machines that can be held back.
type folder struct {
	*simulator.Folder
	s *Server
}

// CreateVMTask leaves nothing when the configuration is refused.
func (f folder) CreateVMTask(ctx *simulator.Context, req *types.CreateVM_Task) soap.HasFault {
	ref := f.s.task(ctx, f.Self, "CreateVM_Task", func(own *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		return under(own, f.Folder, func() soap.HasFault { return f.Folder.CreateVMTask(own, req) })
	})
	return &methods.CreateVM_TaskBody{Res: &types.CreateVM_TaskResponse{Returnval: ref}}
}

// copier copies disks that can be held back.
type copier struct {
	*simulator.VirtualDiskManager
	s *Server
}

// CopyVirtualDiskTask copies a disk. vcsim looks for a descriptor in the extent when there
// is a specification, so that is kept from it.
func (c copier) CopyVirtualDiskTask(ctx *simulator.Context, req *types.CopyVirtualDisk_Task) soap.HasFault {
	req.DestSpec = nil
	ref := c.s.task(ctx, c.Self, "CopyVirtualDisk_Task", func(own *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		return under(own, c.VirtualDiskManager, func() soap.HasFault { return c.VirtualDiskManager.CopyVirtualDiskTask(own, req) })
	})
	return &methods.CopyVirtualDisk_TaskBody{Res: &types.CopyVirtualDisk_TaskResponse{Returnval: ref}}
}
