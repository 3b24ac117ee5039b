package sim

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// Refusal is something that vCenter or ESXi refuses.
type Refusal struct {
	// Name says what is refused, Fault is the fault's type, or an HTTP status. That it is
	// refused is written in the source; which of the fitting faults a server picks often is
	// not, and some are refused by the task there and by the call here.
	Name, Fault string
	// Source says where it is written: a page of the API reference ("API:", of the vSphere
	// Web Services API), of VMware's documentation ("Docs:"), or an issue.
	Source string
	// Vcsim refuses it by itself.
	Vcsim bool
	// check is nil for what is refused elsewhere in this package, or by vcsim.
	check func(s *Server, ctx *simulator.Context, this types.ManagedObjectReference, body any) types.BaseMethodFault
}

// Table is all that is refused.
func Table() []Refusal { return append([]Refusal(nil), table...) }

var table []Refusal

func init() {
	table = []Refusal{
		{"a call without a session", "NotAuthenticated", "API: SessionManager.Login; PropertyCollector is not open to all but for ServiceInstance (vcsim lets it be read)", false, noSession},
		{"a call after the session was idle for too long", "NotAuthenticated", "Docs: vCenter Server, config.vmacore.soap.sessionTimeout; ansible-collections/community.vmware#1223", false, nil},
		{"a call that the login has no privilege for", "NoPermission", "API: Fault NoPermission; the privilege of each method is on its page", false, noPrivilege},
		{"pages of less than one object", "InvalidArgument", "API: RetrieveOptions.maxObjects (also: the server sends no more than it likes)", false, pages},
		{"clone on ESXi", "NotSupported", "API: VirtualMachine.CloneVM_Task; josenk/vagrant-vmware-esxi#19, apcera/libretto#115", false, cloneOnESX},
		{"linked clone without a snapshot", "InvalidArgument", "API: VirtualMachineRelocateDiskMoveOptions.createNewChildDiskBacking (\"for a clone this option is only valid when cloning from a snapshot\")", false, linkedWithoutSnapshot},
		{"clone of a snapshot that is not there, or is another machine's", "ManagedObjectNotFound", "API: VirtualMachineCloneSpec.snapshot", false, unknownSnapshot},
		{"clone of a template without a pool", "InvalidArgument", "API: VirtualMachineRelocateSpec.pool", true, nil},
		{"larger disk in a linked clone", "InvalidDeviceOperation", "kubernetes-sigs/cluster-api-provider-vsphere#1189", false, largerLinkedDisk},
		{"growing a disk that has a parent, or under snapshots", "InvalidDeviceOperation", "kubernetes-sigs/cluster-api-provider-vsphere#1189; Docs: Change the Virtual Disk Configuration", false, growChild},
		{"shrinking a disk", "InvalidDeviceOperation", "API: VirtualDisk.capacityInBytes", true, nil},
		{"destroying a machine that others' disks link to", "FileLocked", "API: Fault FileLocked (vCenter: while they run; here: always)", false, destroyBase},
		{"destroying a machine that runs", "InvalidPowerState", "API: VirtualMachine.Destroy_Task", true, nil},
		{"power-on of a machine that runs", "InvalidPowerState", "API: VirtualMachine.PowerOnVM_Task", true, nil},
		{"asking a guest without tools to shut down", "ToolsUnavailable", "API: VirtualMachine.ShutdownGuest", false, shutdownWithoutTools},
		{"CPUs or memory of a machine that runs", "InvalidPowerState", "API: VirtualMachine.ReconfigVM_Task; VirtualMachineConfigInfo.cpuHotAddEnabled", false, resizeRunning},
		{"name of more than 80 bytes", "InvalidName", "API: Fault InvalidName, thrown by CreateVM_Task, ImportVApp, CreateSnapshot_Task; ManagedEntity.Rename_Task has the limit; vmware/terraform-provider-vsphere#1331", false, longName},
		{"a name that the folder has", "DuplicateName", "API: Fault DuplicateName, thrown by CreateVM_Task, CloneVM_Task, ImportVApp", false, duplicateName},
		{"guestinfo value of more than 64 KiB", "InvalidArgument", "vmware-tanzu/vm-operator#148 (open-vm-tools, GUESTMSG_MAX_IN_SIZE)", false, largeGuestinfo},
		{"less than 1 or more than 128 CPUs", "InvalidArgument", "Docs: Hardware Features Available with Virtual Machine Compatibility Settings (GUID-789C3913-1053-4850-A0F0-E29C3D32B6DA), version 14", false, cpusRange},
		{"less than 4 MB or more than 6128 GB of memory", "InvalidArgument", "Docs: Hardware Features Available with Virtual Machine Compatibility Settings (GUID-789C3913-1053-4850-A0F0-E29C3D32B6DA), version 14", false, memoryRange},
		{"memory that is not a multiple of 4 MB", "InvalidArgument", "Docs: Change the Memory Configuration (\"The memory size must be a multiple of 4 MB\")", false, memoryStep},
		{"power-on with UEFI and less than 96 MB", "GenericVmConfigFault", "Docs: Change the Memory Configuration (\"EFI firmware require at least 96MB of RAM or they cannot power on\")", false, smallUEFI},
		{"more than 10 NICs", "TooManyDevices", "Docs: Hardware Features Available with Virtual Machine Compatibility Settings (GUID-789C3913-1053-4850-A0F0-E29C3D32B6DA), version 14", false, manyNICs},
		{"a MAC by hand in VMware's reserved ranges", "InvalidDeviceSpec", "Docs: VMware OUI in Static MAC Addresses (GUID-ADFECCE5-19E7-4A81-B706-171E279ACBCD)", false, reservedMAC},
		{"Secure Boot with BIOS", "InvalidVmConfig", "API: VirtualMachineBootOptions.efiSecureBootEnabled", false, secureBIOS},
		{"virtual TPM without a key provider", "GenericVmConfigFault", "Docs: Securing Virtual Machines with Virtual Trusted Platform Module, requirements", false, tpmWithoutKeys},
		{"virtual TPM with BIOS", "InvalidVmConfig", "Docs: Securing Virtual Machines with Virtual Trusted Platform Module, requirements", false, tpmBIOS},
		{"attaching a disk file that is not there or short", "FileNotFound", "API: Fault FileNotFound; VirtualDeviceConfigSpec.fileOperation", false, absentFile},
		{"folders on ESXi", "NotSupported", "API: Folder.CreateFolder", false, folderOnESX},
		{"upload to a directory that is not there", "404", "Docs: Web Services SDK Programming Guide, HTTP access to datastores", false, nil},
		{"upload without a session", "401", "Docs: Web Services SDK Programming Guide, HTTP access to datastores", false, nil},
		{"import of a disk that is not streamOptimized", "500", "API: HttpNfcLease; Virtual Disk Format 5.0, stream-optimized extents", false, nil},
		{"import of a disk that is cut short", "500", "API: HttpNfcLease; Virtual Disk Format 5.0, end-of-stream marker", false, nil},
		{"completing a lease before its disks were sent", "InvalidState", "API: HttpNfcLease.HttpNfcLeaseComplete", false, nil},
		{"a lease without progress for its time", "Timedout", "API: HttpNfcLeaseInfo.leaseTimeout, HttpNfcLease.HttpNfcLeaseProgress", false, nil},
	}
}
