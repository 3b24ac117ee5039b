package sim

import (
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	cpusMax      = 128
	memoryMin    = 4
	memoryMax    = 6128 << 10
	guestinfoMax = 64 << 10
	nicsMax      = 10
	uefiMemory   = 96
	efi          = string(types.GuestOsDescriptorFirmwareTypeEfi)
)

// configOf is the configuration that a call asks for, and the machine that has one already
// or is cloned.
func (s *Server) configOf(this types.ManagedObjectReference, body any) (*types.VirtualMachineConfigSpec, *simulator.VirtualMachine) {
	switch req := body.(type) {
	case *types.CloneVM_Task:
		return req.Spec.Config, s.machineOf(this)
	case *types.ReconfigVM_Task:
		return &req.Spec, s.machineOf(this)
	case *types.CreateVM_Task:
		return &req.Config, nil
	case *types.ImportVApp:
		if spec, ok := req.Spec.(*types.VirtualMachineImportSpec); ok {
			return &spec.ConfigSpec, nil
		}
	}
	return nil, nil
}

func largeGuestinfo(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	spec, _ := s.configOf(this, body)
	if spec == nil {
		return nil
	}
	for _, o := range spec.ExtraConfig {
		v := o.GetOptionValue()
		if text, ok := v.Value.(string); ok && strings.HasPrefix(v.Key, "guestinfo.") && len(text) > guestinfoMax {
			return &types.InvalidArgument{InvalidProperty: "configSpec.extraConfig." + v.Key}
		}
	}
	return nil
}

func cpusRange(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	if spec, _ := s.configOf(this, body); spec != nil && (spec.NumCPUs < 0 || spec.NumCPUs > cpusMax) {
		return &types.InvalidArgument{InvalidProperty: "configSpec.numCPUs"}
	}
	return nil
}

func memoryRange(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	if spec, _ := s.configOf(this, body); spec != nil && spec.MemoryMB != 0 && (spec.MemoryMB < memoryMin || spec.MemoryMB > memoryMax) {
		return &types.InvalidArgument{InvalidProperty: "configSpec.memoryMB"}
	}
	return nil
}

func memoryStep(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	if spec, _ := s.configOf(this, body); spec != nil && spec.MemoryMB%memoryMin != 0 {
		return &types.InvalidArgument{InvalidProperty: "configSpec.memoryMB"}
	}
	return nil
}
