package publish

import (
	"context"
	"log/slog"
	"time"

	"ingot/images"
	"ingot/images/build"
	"ingot/images/sign"
	"ingot/inventory"
)

// Publisher works on one store.
type Publisher struct {
	Store *images.Store
	// Signer signs what passed its boot test; nil signs nothing.
	Signer *sign.Signer
	// Keys are those whose signatures count; without one of them no channel moves, when
	// there are some.
	Keys sign.Keys
	// Guest runs virtual machines for recipes that need one.
	Guest build.Guest
	// Dir is for work, Cache for downloads.
	Dir, Cache string
	// Events is told what happened to images; nil is allowed.
	Events func(context.Context, inventory.Payload) error
	Now    func() time.Time
	Log    *slog.Logger
}

// Step is what is being done.
type Step struct {
	Name string
	// Bytes of Total are done; Total is 0 when it is not known. Index of Count is the place
	// among the steps of a build.
	Bytes, Total int64
	Index, Count int
}

// StepError says at which step it failed.
type StepError struct {
	Step string
	Err  error
}

func (e *StepError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }

func at(step string, err error) error {
	if err == nil {
		return nil
	}
	return &StepError{step, err}
}

func (p *Publisher) tell(ctx context.Context, payload inventory.Payload) error {
	if p.Events == nil {
		return nil
	}
	return p.Events(ctx, payload)
}
