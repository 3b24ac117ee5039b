package libvirt

import (
	"errors"
	"fmt"
	"slices"

	lv "github.com/digitalocean/go-libvirt"

	"ingot/inventory"
)

// classes is what libvirt's error numbers (virterror.h) mean to us. A number that is not
// here (9 operation failed, 38 system error, 1 internal) says nothing by itself.
var classes = map[lv.ErrorNumber]error{
	lv.ErrNoDomain: inventory.ErrNotFound, lv.ErrNoNetwork: inventory.ErrNotFound, lv.ErrNoStoragePool: inventory.ErrNotFound,
	lv.ErrNoStorageVol: inventory.ErrNotFound, lv.ErrNoDomainSnapshot: inventory.ErrNotFound, lv.ErrNoDomainMetadata: inventory.ErrNotFound,

	lv.ErrOperationInvalid: inventory.ErrBusy, lv.ErrOperationTimeout: inventory.ErrBusy, lv.ErrResourceBusy: inventory.ErrBusy,
	lv.ErrAgentUnresponsive: inventory.ErrBusy, lv.ErrAgentUnsynced: inventory.ErrBusy,

	lv.ErrNoSupport: inventory.ErrUnsupported, lv.ErrConfigUnsupported: inventory.ErrUnsupported,
	lv.ErrArgumentUnsupported: inventory.ErrUnsupported, lv.ErrOperationUnsupported: inventory.ErrUnsupported,

	lv.ErrStorageVolExist: inventory.ErrConflict, lv.ErrDomExist: inventory.ErrConflict,

	lv.ErrAuthFailed: inventory.ErrDenied, lv.ErrAuthCancelled: inventory.ErrDenied, lv.ErrAuthUnavailable: inventory.ErrDenied,
	lv.ErrOperationDenied: inventory.ErrDenied, lv.ErrAccessDenied: inventory.ErrDenied,

	lv.ErrInvalidArg: inventory.ErrInvalid, lv.ErrXMLError: inventory.ErrInvalid, lv.ErrXMLDetail: inventory.ErrInvalid,
	lv.ErrXMLInvalidSchema: inventory.ErrInvalid,
}

// failure is what a call's error is to our callers: what was done, libvirt's words, and
// the class as inventory has it.
func failure(what string, err error) error {
	if err == nil {
		return nil
	}
	var said lv.Error
	switch {
	case errors.As(err, &said) && classes[lv.ErrorNumber(said.Code)] != nil:
		return &callError{what, err, classes[lv.ErrorNumber(said.Code)]}
	case errors.Is(err, lv.ErrUnsupported):
		return &callError{what, err, inventory.ErrUnsupported}
	}
	return fmt.Errorf("libvirt: %s: %w", what, err)
}

// callError is an error of libvirt with a class.
type callError struct {
	what       string
	err, class error
}

func (e *callError) Error() string   { return "libvirt: " + e.what + ": " + e.err.Error() }
func (e *callError) Unwrap() []error { return []error{e.err, e.class} }

// said tells whether an error is libvirt's, with one of these numbers if there are any.
func said(err error, numbers ...lv.ErrorNumber) bool {
	var e lv.Error
	if !errors.As(err, &e) {
		return false
	}
	return len(numbers) == 0 || slices.Contains(numbers, lv.ErrorNumber(e.Code))
}

// missing tells whether an error says that a thing is not there.
func missing(err error) bool { return errors.Is(err, inventory.ErrNotFound) }
