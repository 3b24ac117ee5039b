package inventory

import (
	"errors"
	"fmt"
)

// The closed set of error classes. Adapters translate their own errors into these
// with %w; the API maps them to status codes in one place.
var (
	// ErrNotFound: no such machine, image, network, address.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the change contradicts what is there (stale revision, address
	// or name already taken, identity that fits two machines).
	ErrConflict = errors.New("conflict")
	// ErrInvalid: the input can't be right whatever the state of the system.
	ErrInvalid = errors.New("invalid")
	// ErrBusy: the thing is in use or in a state that doesn't allow this now.
	ErrBusy = errors.New("busy")
	// ErrUnsupported: this machine, host or build can't do that.
	ErrUnsupported = errors.New("unsupported")
	// ErrDenied: the caller has no right to do this.
	ErrDenied = errors.New("denied")
)

// Invalid returns an error of class ErrInvalid with a message of its own.
func Invalid(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrInvalid)
}

// Conflict returns an error of class ErrConflict with a message of its own.
func Conflict(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrConflict)
}

// NotFound returns an error of class ErrNotFound that names what was looked for.
func NotFound(what, name string) error {
	return fmt.Errorf("%s %q: %w", what, name, ErrNotFound)
}
