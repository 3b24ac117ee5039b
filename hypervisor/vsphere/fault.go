package vsphere

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/vmware/govmomi/vim25/types"

	"ingot/inventory"
)

// taskError is a task that failed.
type taskError struct{ fault *types.LocalizedMethodFault }

// Error implements error.
func (e taskError) Error() string { return describe(e.fault.Fault, e.fault.LocalizedMessage) }

// Fault is for package fault.
func (e taskError) Fault() types.BaseMethodFault { return e.fault.Fault }

// asFault finds a fault of the type of target in an error, whether it came as a SOAP fault
// or as a task's end. (govmomi's fault.As looks at the first of several wrapped errors
// only.)
func asFault[T types.BaseMethodFault](err error, target *T) bool {
	f, ok := vimFault(err).(T)
	if ok {
		*target = f
	}
	return ok
}

// vimFault is the fault in an error, nil when there is none.
func vimFault(err error) types.BaseMethodFault {
	var has interface{ Fault() types.BaseMethodFault }
	if errors.As(err, &has) {
		return has.Fault()
	}
	return nil
}

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
	f := vimFault(err)
	if f == nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	text := describe(f, err.Error())
	if task := (taskError{}); errors.As(err, &task) {
		text = task.Error()
	}
	if class := classOf(f); class != nil {
		return fmt.Errorf("%s: %s: %w", doing, text, classed{class, err})
	}
	return fmt.Errorf("%s: %s: %w", doing, text, classed{errServer, err})
}

// errServer is a fault that is the server's own trouble.
var errServer = errors.New("vSphere fault")

// classed is an error of a class that still holds its fault.
type classed struct{ class, err error }

// Error implements error.
func (c classed) Error() string { return c.class.Error() }

// Unwrap is for errors.Is and errors.As.
func (c classed) Unwrap() []error { return []error{c.class, c.err} }

// classOf sorts faults into inventory's classes; nil for one that is the server's own
// trouble (vSphere API reference, "Fault Types").
func classOf(f types.BaseMethodFault) error {
	switch f.(type) {
	case *types.ManagedObjectNotFound, *types.NotFound, *types.FileNotFound:
		return inventory.ErrNotFound
	case *types.ToolsUnavailable, *types.MethodNotFound, *types.NotImplemented, *types.RestrictedVersion, types.BaseNotSupported:
		return inventory.ErrUnsupported
	case *types.InvalidLogin, types.BaseNoPermission, types.BaseSecurityError:
		return inventory.ErrDenied
	case *types.DuplicateName, *types.AlreadyExists, *types.FileAlreadyExists, *types.ConcurrentAccess:
		return inventory.ErrConflict
	case *types.FileLocked, *types.NoDiskSpace, *types.TaskInProgress, types.BaseInvalidState, types.BaseResourceInUse, types.BaseInsufficientResourcesFault:
		return inventory.ErrBusy
	case *types.InvalidName, *types.InvalidDatastore, types.BaseInvalidArgument, types.BaseVmConfigFault:
		return inventory.ErrInvalid
	}
	return nil
}

// describe says what a fault says: its message, its name where the message doesn't help,
// and for a missing right which one it is.
func describe(f types.BaseMethodFault, message string) string {
	name := strings.TrimPrefix(strings.TrimPrefix(fmt.Sprintf("%T", f), "*"), "types.")
	message = strings.TrimPrefix(strings.TrimSpace(message), "ServerFaultCode: ")
	switch f := f.(type) {
	case *types.NoPermission:
		return fmt.Sprintf("the login lacks the privilege %s", f.PrivilegeId)
	case *types.InvalidArgument:
		name += " " + f.InvalidProperty
	case *types.InvalidVmConfig:
		name += " " + f.Property
	case *types.InvalidDeviceSpec:
		name += fmt.Sprintf(" %s (device %d)", f.Property, f.DeviceIndex)
	}
	if message == "" || message == "ServerFaultCode:" || strings.HasPrefix(message, "*types.") || strings.HasPrefix(name, message) {
		return name
	}
	return message + " (" + name + ")"
}
