package sim

import (
	"fmt"

	"ingot/hypervisor/hyperv/powershell"
)

// rule is a thing that Hyper-V or PowerShell refuses, and how. An id that ends in a comma
// is completed with the cmdlet's class. Where a source says "assumed", nobody wrote down
// the id, and the driver must not need it.
type rule struct {
	what, id, category string
	hresult            uint32
	source             string
}

const (
	hyperV = "Microsoft.HyperV.PowerShell.Commands."
	vhdCmd = "Microsoft.Vhd.PowerShell.Cmdlets."
	psCmd  = "Microsoft.PowerShell.Commands."
	// dotNet is COR_E_EXCEPTION: an exception without an HRESULT of its own.
	dotNet = 0x80131500
)

// The rules.
var (
	noSuchVM       = rule{"a GUID that no machine has", "InvalidParameter,", "InvalidArgument", dotNet, "kubernetes/minikube#6973 (by name; by GUID assumed)"}
	denied         = rule{"a login without rights", "AccessDenied,", "PermissionDenied", dotNet, "assumed: VirtualizationException's ErrorIdentifier"}
	nameTooLong    = rule{"a name of more than 100 letters", "InvalidParameter,", "InvalidArgument", 0x80070057, "microsoft/openvmm#1647"}
	memoryOdd      = rule{"memory that is no even number of MiB, or less than 32", "InvalidParameter,", "InvalidArgument", dotNet, "kubernetes/minikube#6973, #16592, FuseCP/FuseCP#180"}
	pathMissing    = rule{"a folder for the configuration that is not there", "ObjectNotFound,", "ObjectNotFound", 0x80070003, "jamesstringer90/Easy-GPU-PV#406"}
	vhdSize        = rule{"a size that is no multiple of 4 KiB, or out of range", "InvalidParameter,", "InvalidArgument", dotNet, "PowerShell/PowerShell#25761"}
	vhdFolder      = rule{"a virtual disk in a folder that is not there", "OperationFailed,", "NotSpecified", 0x80070003, "AutomatedLab/AutomatedLab#266 (id), winerror.h (HRESULT)"}
	vhdExists      = rule{"a virtual disk where a file is", "OperationFailed,", "NotSpecified", 0x80070050, "AutomatedLab/AutomatedLab#266 (id), winerror.h (HRESULT)"}
	vhdMissing     = rule{"a virtual disk that is not there", "OperationFailed,", "NotSpecified", 0x80070002, "AutomatedLab/AutomatedLab#266 (id), winerror.h (HRESULT)"}
	vhdBroken      = rule{"a file that is no virtual disk", "OperationFailed,", "NotSpecified", 0xC03A0015, "assumed (id), winerror.h ERROR_VIRTDISK_NOT_VIRTUAL_DISK"}
	vhdUnknown     = rule{"a virtual disk with a strange ending", "OperationFailed,", "NotSpecified", 0xC03A0014, "winerror.h ERROR_VIRTDISK_PROVIDER_NOT_FOUND"}
	vhdSqueezed    = rule{"a virtual disk that is sparse, compressed or encrypted", "OperationFailed,", "NotSpecified", 0xC03A001A, "hashicorp/vagrant#11118, hashicorp/packer#9922"}
	parentMissing  = rule{"a differencing disk whose parent is gone", "OperationFailed,", "NotSpecified", 0xC03A000D, "winerror.h ERROR_VHD_PARENT_VHD_NOT_FOUND"}
	parentChanged  = rule{"a differencing disk whose parent was changed", "OperationFailed,", "NotSpecified", 0xC03A000E, "winerror.h ERROR_VHD_CHILD_PARENT_ID_MISMATCH"}
	parentCheck    = rule{"a differencing disk on a checkpoint's file", "OperationFailed,", "NotSpecified", 0xC03A001B, "test-kitchen/kitchen-hyperv#25 (HRESULT assumed)"}
	vhdInUse       = rule{"growing a disk that a running machine has on IDE, or that others stand on", "OperationFailed,", "NotSpecified", 0x80070020, "Resize-VHD documentation (id assumed)"}
	fileInUse      = rule{"deleting a file that is in use", "RemoveFileSystemItemIOError,", "WriteError", 0x80070020, "Remove-Item (FileSystemProvider)"}
	diskReadOnly   = rule{"writing where one may not", "UnauthorizedAccessException", "NotSpecified", 0x80070005, ".NET Framework"}
	notVHDX        = rule{"a VHD at a machine of generation 2", "InvalidParameter,", "InvalidArgument", dotNet, "Hyper-V generation 2 documentation (id assumed)"}
	placeTaken     = rule{"a place on a controller that is taken, or that it does not have", "InvalidParameter,", "InvalidArgument", dotNet, "assumed"}
	noSwitch       = rule{"a virtual switch that is not there", "InvalidParameter,", "InvalidArgument", dotNet, "MicrosoftDocs/Virtualization-Documentation#742"}
	badVLAN        = rule{"a VLAN outside 1 to 4094", "InvalidParameter,", "InvalidArgument", dotNet, "Set-VMNetworkAdapterVlan documentation (id assumed)"}
	noFirmware     = rule{"firmware of a machine of generation 1", "InvalidParameter,", "InvalidArgument", dotNet, "Set-VMFirmware documentation, hashicorp/vagrant#5419 (id assumed)"}
	noTPM          = rule{"a TPM without a key protector, or of generation 1", "InvalidState,", "InvalidOperation", dotNet, "Enable-VMTPM documentation (id assumed)"}
	tooManyCPUs    = rule{"more CPUs than the host has, or than the generation takes", "InvalidParameter,", "InvalidArgument", dotNet, "assumed"}
	notOff         = rule{"changing or removing a machine that runs, or has a saved state", "InvalidState,", "InvalidOperation", dotNet, "microsoft/devhome#2868 (id assumed)"}
	outOfMemory    = rule{"starting a machine for which there is no memory", "OutOfMemory,", "NotSpecified", dotNet, "kubernetes/minikube#4067, #6249"}
	checkpointsOff = rule{"a checkpoint of a machine that takes none", "InvalidState,", "InvalidOperation", dotNet, "Set-VM -CheckpointType documentation (id assumed)"}
)

// table is all of them.
var table = []rule{noSuchVM, denied, nameTooLong, memoryOdd, pathMissing, vhdSize, vhdFolder, vhdExists, vhdMissing, vhdBroken, vhdUnknown, vhdSqueezed, parentMissing, parentChanged, parentCheck, vhdInUse, fileInUse, diskReadOnly, notVHDX, placeTaken, noSwitch, badVLAN, noFirmware, noTPM, tooManyCPUs, notOff, outOfMemory, checkpointsOff}

// of makes the error record that a cmdlet's class ends with.
func (r rule) of(class, target, format string, args ...any) error {
	id := r.id
	if id[len(id)-1] == ',' {
		id += class
	}
	return &powershell.Error{ID: id, Category: r.category, HResult: r.hresult, Type: "Microsoft.HyperV.PowerShell.VirtualizationException",
		Message: fmt.Sprintf(format, args...), Target: target}
}

// own is an error that a script makes itself (Stop-Ingot).
func own(id, category, target string) error {
	return &powershell.Error{ID: id, Category: category, HResult: 0x80131509, Type: "System.InvalidOperationException", Message: id, Target: target}
}
