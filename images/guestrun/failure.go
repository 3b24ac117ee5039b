package guestrun

import (
	"errors"
	"fmt"
)

// GuestError is a failure of the guest itself: it stalled, flooded, ended, broke the
// channel's rules or overran a limit. Other errors are this host's.
type GuestError struct {
	// Reason is one sentence without a full stop.
	Reason string
	// Console is the last lines that it said before.
	Console string
	// kind is ErrOff or nil.
	kind error
}

// ErrOff is wrapped by the error of a guest that switched itself off.
var ErrOff = errors.New("the guest is off")

// ErrLate is wrapped by the error of an emulated guest whose kernel found that its timer
// does not tick. On a busy host it ticks too late: that is no failure of the guest's, and
// the next try mostly comes through.
var ErrLate = errors.New("this host is too busy: the emulated timer came too late for the guest's kernel")

// Unwrap makes errors.Is find [ErrOff].
func (e *GuestError) Unwrap() error { return e.kind }

func (e *GuestError) Error() string { return e.Reason }

func guestErrorf(format string, args ...any) *GuestError {
	return &GuestError{Reason: fmt.Sprintf(format, args...)}
}
