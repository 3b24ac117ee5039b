package hyperv

import (
	"time"

	"ingot/hypervisor/hyperv/powershell"
)

// What the scripts answer. Enumerations come as their names.

// hostAnswer: Fault and WriteFault are error ids, empty when all went well.
type hostAnswer struct {
	PowerShell, Module, Fault          string
	Windows, Version                   string
	Client                             bool
	Now                                time.Time
	User                               string
	Administrator, HypervAdministrator bool
	Name                               string
	Processors                         int
	MemoryBytes, FreeMemoryBytes       int64
	Switches                           []switchAnswer
	// Existing is as much of Storage as is there; FreeBytes is -1 when nobody tells.
	Storage, Existing     string
	FreeBytes             int64
	CompressedOrEncrypted bool
	WriteFault            string
	Tpm                   bool
}

type switchAnswer struct{ Name, Type string }

type placeAnswer struct {
	Images   []imageAnswer
	Switches []switchAnswer
}

type imageAnswer struct {
	File      string
	SizeBytes int64
}

type listAnswer struct{ Machines []machine }

// machine is one as Hyper-V has it.
type machine struct {
	VMID              string `json:"VmId"`
	Name, Notes, Path string
	State             string
	Generation, Cpus  int
	MemoryBytes       int64
	SecureBoot, Tpm   bool
	Disks             []disk
	Nics              []nic
	Checkpoints       int
	Status            []string
	mark              mark
}

// disk: Chain is the files that it stands on, its own first.
type disk struct {
	Path, Controller string
	Number, Location int
	SizeBytes        int64
	Chain            []string
	Fault            string
}

// nic: Told are the addresses that the guest told, Neighbors those that the host saw.
type nic struct {
	Mac, Switch     string
	VlanID          int `json:"VlanId"`
	Told, Neighbors []string
}

type watchAnswer struct{ Machines []watched }

// watched is what is compared to see a change.
type watched struct {
	VMID        string `json:"VmId"`
	Name, Notes string
	State       string
	Cpus        int
	MemoryBytes int64
	Checkpoint  string
}

// pullAnswer: Fault is a WebExceptionStatus, an exception's name or our own.
type pullAnswer struct {
	Bytes   int64
	Fault   string
	HResult int64
}

type sizeAnswer struct{ SizeBytes int64 }

type removeImageAnswer struct{ UsedBy []string }

type createAnswer struct {
	VMID string `json:"VmId"`
}

// deleteAnswer: Busy is what is in the way, empty when all is gone.
type deleteAnswer struct{ Busy string }

// powerAnswer: Code is InitiateShutdown's.
type powerAnswer struct {
	State string
	Code  int64
}

type stateAnswer struct{ State string }

type checkpointsAnswer struct {
	Current     string
	Status      []string
	Checkpoints []checkpoint
}

type checkpoint struct {
	CheckpointID string `json:"CheckpointId"`
	Name         string
	Created      time.Time
}

// operation ties a script to what it gets and answers.
type operation[Q, A any] struct{ script powershell.Script }

// The operations.
var (
	askHost          = operation[hostRequest, hostAnswer]{hostScript}
	askPlace         = operation[placeRequest, placeAnswer]{placeScript}
	listMachines     = operation[selection, listAnswer]{listScript}
	watchMachines    = operation[watchRequest, watchAnswer]{watchScript}
	pullImage        = operation[pullRequest, pullAnswer]{pullScript}
	finishImage      = operation[finishImageRequest, sizeAnswer]{finishImageScript}
	removeImage      = operation[removeImageRequest, removeImageAnswer]{removeImageScript}
	createMachine    = operation[createRequest, createAnswer]{createScript}
	deleteMachine    = operation[deleteRequest, deleteAnswer]{deleteScript}
	powerMachine     = operation[powerRequest, powerAnswer]{powerScript}
	listCheckpoints  = operation[checkpointsRequest, checkpointsAnswer]{checkpointsScript}
	takeCheckpoint   = operation[checkpointRequest, stateAnswer]{checkpointScript}
	restoreOne       = operation[oneCheckpoint, stateAnswer]{restoreScript}
	removeCheckpoint = operation[oneCheckpoint, stateAnswer]{removeCheckpointScript}
	growVHD          = operation[growDiskRequest, sizeAnswer]{growDiskScript}
	sizeMachine      = operation[setSizeRequest, stateAnswer]{setSizeScript}
	setNotes         = operation[setNotesRequest, stateAnswer]{setNotesScript}
)
