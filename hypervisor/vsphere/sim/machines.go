package sim

import (
	"fmt"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// VMs are the machines there are, by name.
func (s *Server) VMs() map[string]*simulator.VirtualMachine {
	all := map[string]*simulator.VirtualMachine{}
	for _, e := range s.registry().All("VirtualMachine") {
		all[e.Entity().Name] = e.(*simulator.VirtualMachine)
	}
	return all
}

// byUUID is the machine of an instance UUID.
func (s *Server) byUUID(uuid string) *simulator.VirtualMachine {
	for _, vm := range s.VMs() {
		if vm.Config.InstanceUuid == uuid {
			return vm
		}
	}
	return nil
}

// Unregister takes a machine out of the inventory and leaves its files.
func (s *Server) Unregister(uuid string) error {
	vm := s.byUUID(uuid)
	if vm == nil {
		return fmt.Errorf("no machine %s", uuid)
	}
	ctx := s.context()
	var fault *soap.Fault
	ctx.WithLock(vm, func() { fault = vm.UnregisterVM(ctx, &types.UnregisterVM{This: vm.Self}).Fault() })
	if fault != nil {
		return fmt.Errorf("unregister %s: %s", uuid, fault.String)
	}
	return nil
}

// Ask makes a machine ask a question, as vSphere does when a disk was moved or is full; an
// empty one is answered.
func (s *Server) Ask(uuid, text string) {
	vm, ctx := s.byUUID(uuid), s.context()
	ctx.WithLock(vm, func() {
		if text == "" {
			vm.Runtime.Question = nil
			return
		}
		ctx.Update(vm, []types.PropertyChange{{Name: "runtime.question", Val: types.VirtualMachineQuestionInfo{Id: "1", Text: text}}})
	})
}

// Many makes machines of an owner, quickly: they have a disk and a NIC less than real ones.
func (s *Server) Many(n int, owner string) error {
	ctx := s.context()
	pool := s.registry().Any("ResourcePool").(*simulator.ResourcePool)
	dc := s.registry().Any("Datacenter").(*simulator.Datacenter)
	f := s.registry().Get(dc.VmFolder).(*simulator.Folder)
	for i := range n {
		id := fmt.Sprintf("m-%d", i)
		config := types.VirtualMachineConfigSpec{Name: id, GuestId: "otherLinux64Guest", Files: &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0] " + id + "/" + id + ".vmx"},
			ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "ingot.id", Value: id}, &types.OptionValue{Key: "ingot.owner", Value: owner}}}
		if _, fault := under(ctx, f, func() soap.HasFault {
			return f.CreateVMTask(ctx, &types.CreateVM_Task{This: f.Self, Config: config, Pool: pool.Self})
		}); fault != nil {
			return fmt.Errorf("make %s: %T", id, fault)
		}
	}
	return nil
}
