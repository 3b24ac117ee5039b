package vsphere

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
	"ingot/inventory"
)

// vmPaths are the properties that a hypervisor.VM is made of.
var vmPaths = []string{"name", "runtime.powerState", "guest.net", "config.instanceUuid", "config.extraConfig", "config.template", "config.firmware",
	"config.bootOptions", "config.files.vmPathName", "config.hardware.numCPU", "config.hardware.memoryMB", "config.hardware.device"}

// seedUnit is the SCSI unit of the seed disk: the last one, so that no other disk gets it,
// and the disk is known by it after a move to another datastore.
const seedUnit = 15

// note is the value of a key in a machine's ExtraConfig.
func note(vm mo.VirtualMachine, key string) string {
	if vm.Config == nil {
		return ""
	}
	for _, o := range vm.Config.ExtraConfig {
		if v := o.GetOptionValue(); v.Key == key {
			s, _ := v.Value.(string)
			return s
		}
	}
	return ""
}

// asVM turns a machine as vSphere tells it into the contract's.
func asVM(m mo.VirtualMachine) hypervisor.VM {
	vm := hypervisor.VM{ID: note(m, keyID), Name: note(m, keyName), Power: power(m.Runtime.PowerState), ImageDigest: note(m, keyImage)}
	if vm.Name == "" {
		vm.Name = unescape(m.Name)
	}
	if m.Config == nil {
		return vm // being made just now
	}
	c := m.Config
	vm.UUID, vm.CPUs, vm.MemoryBytes = c.InstanceUuid, int(c.Hardware.NumCPU), int64(c.Hardware.MemoryMB)<<20
	vm.Firmware = inventory.FirmwareBIOS
	if c.Firmware == string(types.GuestOsDescriptorFirmwareTypeEfi) {
		vm.Firmware = inventory.FirmwareUEFI
	}
	vm.SecureBoot = c.BootOptions != nil && c.BootOptions.EfiSecureBootEnabled != nil && *c.BootOptions.EfiSecureBootEnabled
	vm.TPM = len(object.VirtualDeviceList(c.Hardware.Device).SelectByType((*types.VirtualTPM)(nil))) > 0
	for _, disk := range disksOf(m) {
		vm.Disks = append(vm.Disks, hypervisor.VMDisk{Path: fileOf(disk), SizeBytes: sizeOf(disk)})
	}
	vm.NICs = nicsOf(m)
	vm.Clone = cloneOf(m)
	return vm
}

func power(s types.VirtualMachinePowerState) hypervisor.PowerState {
	switch s {
	case types.VirtualMachinePowerStatePoweredOn:
		return hypervisor.On
	case types.VirtualMachinePowerStateSuspended:
		return hypervisor.Paused
	}
	return hypervisor.Off
}

// disksOf are a machine's disks without the seed, in the order of controller and unit.
func disksOf(m mo.VirtualMachine) []*types.VirtualDisk {
	var disks []*types.VirtualDisk
	if m.Config == nil {
		return nil
	}
	for _, d := range m.Config.Hardware.Device {
		if disk, ok := d.(*types.VirtualDisk); ok && !isSeed(disk) {
			disks = append(disks, disk)
		}
	}
	slices.SortStableFunc(disks, func(a, b *types.VirtualDisk) int {
		if a.ControllerKey != b.ControllerKey {
			return int(a.ControllerKey - b.ControllerKey)
		}
		return int(unitOf(a) - unitOf(b))
	})
	return disks
}

func unitOf(d *types.VirtualDisk) int32 {
	if d.UnitNumber == nil {
		return 0
	}
	return *d.UnitNumber
}

func isSeed(d *types.VirtualDisk) bool { return unitOf(d) == seedUnit }

func sizeOf(d *types.VirtualDisk) int64 { return max(d.CapacityInBytes, d.CapacityInKB<<10) }

func fileOf(d *types.VirtualDisk) string {
	if b, ok := d.Backing.(types.BaseVirtualDeviceFileBackingInfo); ok {
		return b.GetVirtualDeviceFileBackingInfo().FileName
	}
	return ""
}

// chainOf is the files a disk stands on, its own first.
func chainOf(d *types.VirtualDisk) []string {
	var files []string
	switch b := d.Backing.(type) {
	case *types.VirtualDiskFlatVer2BackingInfo:
		for ; b != nil; b = b.Parent {
			files = append(files, b.FileName)
		}
	case *types.VirtualDiskSeSparseBackingInfo:
		for ; b != nil; b = b.Parent {
			files = append(files, b.FileName)
		}
	default:
		files = append(files, fileOf(d))
	}
	return files
}

// cloneOf tells how the root disk was made: a linked clone's chain ends outside the
// machine's own directory, where a machine's own snapshots don't lead.
func cloneOf(m mo.VirtualMachine) hypervisor.CloneKind {
	disks := disksOf(m)
	if len(disks) == 0 || note(m, keyImage) == "" {
		return ""
	}
	files := chainOf(disks[0])
	if last := files[len(files)-1]; len(files) > 1 && path.Dir(last) != path.Dir(m.Config.Files.VmPathName) {
		return hypervisor.LinkedClone
	}
	return hypervisor.FullCopy
}

// nicsOf are a machine's NICs, with the addresses that the guest tools told.
func nicsOf(m mo.VirtualMachine) []hypervisor.VMNIC {
	var nics []hypervisor.VMNIC
	for _, d := range m.Config.Hardware.Device {
		card, ok := d.(types.BaseVirtualEthernetCard)
		if !ok {
			continue
		}
		c := card.GetVirtualEthernetCard()
		mac, err := inventory.ParseMAC(c.MacAddress)
		if err != nil {
			continue
		}
		nic := hypervisor.VMNIC{MAC: mac, Network: networkName(c)}
		if m.Guest != nil {
			nic.Addresses = addresses(m.Guest.Net, c.MacAddress)
		}
		nics = append(nics, nic)
	}
	return nics
}

// networkName is a standard network's name, and a distributed port group's key (its
// MoRef's value).
func networkName(c *types.VirtualEthernetCard) string {
	switch b := c.Backing.(type) {
	case *types.VirtualEthernetCardNetworkBackingInfo:
		return b.DeviceName
	case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		return b.Port.PortgroupKey
	case *types.VirtualEthernetCardOpaqueNetworkBackingInfo:
		return b.OpaqueNetworkId
	}
	return ""
}

// addresses are those of the NIC of a MAC, link-local ones left out.
func addresses(nics []types.GuestNicInfo, mac string) []hypervisor.Address {
	var found []hypervisor.Address
	for _, nic := range nics {
		if !strings.EqualFold(nic.MacAddress, mac) {
			continue
		}
		for _, text := range nic.IpAddress {
			if ip, err := netip.ParseAddr(text); err == nil && !ip.IsLinkLocalUnicast() {
				found = append(found, hypervisor.Address{IP: ip, Source: hypervisor.FromTools})
			}
		}
	}
	return found
}
