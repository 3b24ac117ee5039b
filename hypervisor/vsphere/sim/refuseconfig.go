package sim

import (
	"net"
	"os"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vmdk"
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

// firmware is what a machine would have.
func firmware(spec *types.VirtualMachineConfigSpec, vm *simulator.VirtualMachine) string {
	if spec.Firmware == "" && vm != nil {
		return vm.Config.Firmware
	}
	return spec.Firmware
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

func reservedMAC(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	spec, _ := s.configOf(this, body)
	if spec == nil {
		return nil
	}
	for i, c := range spec.DeviceChange {
		card, ok := c.GetVirtualDeviceConfigSpec().Device.(types.BaseVirtualEthernetCard)
		if !ok || card.GetVirtualEthernetCard().AddressType != string(types.VirtualEthernetCardMacTypeManual) {
			continue
		}
		mac, err := net.ParseMAC(card.GetVirtualEthernetCard().MacAddress)
		if err != nil || reserved(mac) {
			return &types.InvalidDeviceSpec{InvalidVmConfig: types.InvalidVmConfig{Property: "deviceChange.device.macAddress"}, DeviceIndex: int32(i)}
		}
	}
	return nil
}

// reserved: groups, what hosts generate (00:0c:29, 00:05:69), and of 00:50:56 what is above
// the part for addresses by hand.
func reserved(mac net.HardwareAddr) bool {
	switch oui := mac[:3].String(); oui {
	case "00:0c:29", "00:05:69":
		return true
	case "00:50:56":
		return mac[3] > 0x3f
	}
	return mac[0]&1 != 0
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

func manyNICs(s *Server, _ *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault {
	spec, vm := s.configOf(this, body)
	if spec == nil {
		return nil
	}
	n := 0
	if vm != nil {
		for _, d := range vm.Config.Hardware.Device {
			if _, ok := d.(types.BaseVirtualEthernetCard); ok {
				n++
			}
		}
	}
	for _, c := range spec.DeviceChange {
		if _, ok := c.GetVirtualDeviceConfigSpec().Device.(types.BaseVirtualEthernetCard); ok && c.GetVirtualDeviceConfigSpec().Operation == types.VirtualDeviceConfigSpecOperationAdd {
			n++
		}
	}
	if n > nicsMax {
		return new(types.TooManyDevices)
	}
	return nil
}
