package hyperv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ingot/hypervisor/hyperv/powershell"
	"ingot/inventory"
)

// translate makes an error of one of inventory's classes, with what was being done. The
// error of a context that ended stays that.
func translate(doing string, err error) error {
	if err == nil {
		return nil
	}
	for _, class := range []error{context.Canceled, context.DeadlineExceeded, inventory.ErrNotFound, inventory.ErrConflict,
		inventory.ErrInvalid, inventory.ErrBusy, inventory.ErrUnsupported, inventory.ErrDenied} {
		if errors.Is(err, class) {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	var fault *powershell.Error
	if !errors.As(err, &fault) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if class := classOf(fault); class != nil {
		return fmt.Errorf("%s: %w", doing, classed{class, say(fault), fault})
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// classed is an error of a class that still holds the error record.
type classed struct {
	class error
	text  string
	fault *powershell.Error
}

// Error implements error.
func (c classed) Error() string { return c.text + ": " + c.class.Error() }

// Unwrap is for errors.Is and errors.As.
func (c classed) Unwrap() []error { return []error{c.class, c.fault} }

// atWork is the error id of a script that finds another one at work on the same thing.
const atWork = "IngotBusy"

// own are the errors that our scripts make, in words. What is wrong with an image is wrong
// with it the next time: the host must not fetch it again and again.
var own = map[string]struct {
	class error
	text  string
}{
	atWork:                {inventory.ErrBusy, "an earlier script of ours is still at work on it: its connection was lost, and it goes on by itself"},
	"IngotWrongLength":    {inventory.ErrInvalid, "what the host fetched has another length than was offered"},
	"IngotBroken":         {inventory.ErrInvalid, "the image is no virtual disk that Hyper-V can use"},
	"IngotWrongHash":      {inventory.ErrInvalid, "what came to the host is not what was sent: its SHA-256 is another one"},
	"IngotCompressed":     {inventory.ErrUnsupported, "the storage is compressed or encrypted, and Hyper-V opens no disks there: " + trySqueezed},
	"IngotHasParent":      {inventory.ErrInvalid, "the image is a differencing disk: an image stands alone"},
	"IngotWrongDisk":      {inventory.ErrInvalid, "the image's disk is smaller than its record says"},
	"IngotNoCheckpoint":   {inventory.ErrNotFound, "the checkpoint is gone"},
	"IngotHasCheckpoints": {inventory.ErrBusy, "the machine has checkpoints: delete them first"},
	"IngotNotOff":         {inventory.ErrBusy, "the machine is not off"},
	"IngotNotesChanged":   {inventory.ErrBusy, "somebody changed the machine's notes just now"},
}

// hresults that tell what kind an error is (winerror.h).
var hresults = map[uint32]error{
	0x80070002: inventory.ErrNotFound,    // ERROR_FILE_NOT_FOUND
	0x80070003: inventory.ErrNotFound,    // ERROR_PATH_NOT_FOUND
	0x80070005: inventory.ErrDenied,      // E_ACCESSDENIED
	0x8007000E: inventory.ErrBusy,        // E_OUTOFMEMORY
	0x80070015: inventory.ErrUnsupported, // ERROR_NOT_READY: no integration services in the guest
	0x80070020: inventory.ErrBusy,        // ERROR_SHARING_VIOLATION
	0x80070021: inventory.ErrBusy,        // ERROR_LOCK_VIOLATION
	0x80070050: inventory.ErrConflict,    // ERROR_FILE_EXISTS
	0x80070057: inventory.ErrInvalid,     // E_INVALIDARG
	0x80070070: inventory.ErrBusy,        // ERROR_DISK_FULL
	0x800705AA: inventory.ErrBusy,        // ERROR_NO_SYSTEM_RESOURCES
	0xC03A000D: inventory.ErrNotFound,    // ERROR_VHD_PARENT_VHD_NOT_FOUND
	0xC03A000E: inventory.ErrConflict,    // ERROR_VHD_CHILD_PARENT_ID_MISMATCH
	0xC03A000F: inventory.ErrConflict,    // ERROR_VHD_CHILD_PARENT_TIMESTAMP_MISMATCH
	0xC03A001A: inventory.ErrUnsupported, // ERROR_VIRTUAL_DISK_LIMITATION: sparse, compressed or encrypted
}

// ids before the comma of a FullyQualifiedErrorId. Those of Hyper-V are its
// VirtualizationException's ErrorIdentifier.
var ids = map[string]error{
	"ObjectNotFound": inventory.ErrNotFound, "InvalidState": inventory.ErrBusy, "OutOfMemory": inventory.ErrBusy, "AccessDenied": inventory.ErrDenied,
	"InvalidParameter": inventory.ErrInvalid, "ObjectInUse": inventory.ErrBusy, "NotSupported": inventory.ErrUnsupported,
	"CommandNotFoundException": inventory.ErrUnsupported, "NamedParameterNotFound": inventory.ErrUnsupported,
	"RemoveFileSystemItemIOError": inventory.ErrBusy, "RemoveFileSystemItemUnAuthorizedAccess": inventory.ErrDenied, "PathNotFound": inventory.ErrNotFound,
}

// categories are the names of ErrorCategory.
var categories = map[string]error{
	"ObjectNotFound": inventory.ErrNotFound, "PermissionDenied": inventory.ErrDenied, "SecurityError": inventory.ErrDenied, "AuthenticationError": inventory.ErrDenied,
	"InvalidArgument": inventory.ErrInvalid, "ResourceBusy": inventory.ErrBusy, "ResourceUnavailable": inventory.ErrBusy, "DeadlockDetected": inventory.ErrBusy,
	"ResourceExists": inventory.ErrConflict, "NotImplemented": inventory.ErrUnsupported, "NotInstalled": inventory.ErrUnsupported,
}

// goneIDs are Get-VM's for a machine that is not there; the first one's category is
// InvalidArgument (kubernetes/minikube#6973).
var goneIDs = []string{"InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM", "ObjectNotFound,Microsoft.HyperV.PowerShell.Commands.GetVM"}

// classOf sorts an error record by id, HRESULT and category, never by its message, which
// is in the host's language; nil for one that is the host's own trouble.
func classOf(e *powershell.Error) error {
	id, _, _ := strings.Cut(e.ID, ",")
	if mine, ok := own[id]; ok {
		return mine.class
	}
	if slices.Contains(goneIDs, e.ID) {
		return inventory.ErrNotFound
	}
	if class, ok := hresults[e.HResult]; ok {
		return class
	}
	if class, ok := ids[id]; ok {
		return class
	}
	return categories[e.Category]
}

// say is an error record in words, with what to do where that is known.
func say(e *powershell.Error) string {
	id, _, _ := strings.Cut(e.ID, ",")
	if mine, ok := own[id]; ok {
		return mine.text
	}
	if e.HResult == 0xC03A001A {
		return e.Error() + ": the file is sparse, compressed or encrypted: " + trySqueezed
	}
	return e.Error()
}
