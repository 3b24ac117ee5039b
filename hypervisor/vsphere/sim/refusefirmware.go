package sim

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// firmware is what a machine would have.
func firmware(spec *types.VirtualMachineConfigSpec, vm *simulator.VirtualMachine) string {
	if spec.Firmware == "" && vm != nil {
		return vm.Config.Firmware
	}
	return spec.Firmware
}

func secureBIOS(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	spec, vm := s.configOf(this, body)
	if spec == nil || spec.BootOptions == nil || spec.BootOptions.EfiSecureBootEnabled == nil || !*spec.BootOptions.EfiSecureBootEnabled {
		return nil
	}
	if firmware(spec, vm) != efi {
		return &types.InvalidVmConfig{Property: "configSpec.bootOptions.efiSecureBootEnabled"}
	}
	return nil
}

func hasTPM(spec *types.VirtualMachineConfigSpec) bool {
	for _, c := range spec.DeviceChange {
		if _, ok := c.GetVirtualDeviceConfigSpec().Device.(*types.VirtualTPM); ok {
			return true
		}
	}
	return false
}

func tpmWithoutKeys(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	if spec, _ := s.configOf(this, body); spec == nil || !hasTPM(spec) {
		return nil
	}
	if !s.options.ESX && len(s.registry().CryptoManager().KmipServers) > 0 {
		return nil
	}
	return &types.GenericVmConfigFault{Reason: "a virtual TPM needs a key provider"}
}

func tpmBIOS(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	if spec, vm := s.configOf(this, body); spec != nil && hasTPM(spec) && firmware(spec, vm) != efi {
		return &types.InvalidVmConfig{Property: "configSpec.firmware"}
	}
	return nil
}
