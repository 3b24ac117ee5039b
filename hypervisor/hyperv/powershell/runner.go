package powershell

import (
	"context"
	"fmt"
)

// Script is one of our scripts.
type Script struct {
	// Name is its file's, without the ending.
	Name string
	// Text is ASCII; it reads its document from $Request and returns one object.
	Text string
}

// Runner runs scripts on one computer. Its methods can be called at once from many
// goroutines.
type Runner interface {
	// Run gives a script a JSON document and returns the one that it answers with. A
	// script that failed is an *Error; a way there that failed is an error of the
	// inventory's kinds (ErrDenied for a login that is refused, ErrBusy for a computer
	// that can't be reached and a connection that was lost), which says what was tried.
	// Run returns soon after its context ends. The script over there is told to stop then,
	// and may go on all the same: nobody tells it when the connection is gone too, and over
	// SSH it is up to the server what becomes of it. ErrNotStarted tells errors after which
	// it surely did not run.
	Run(ctx context.Context, s Script, request []byte) (answer []byte, err error)
	// Close ends what is open at the computer.
	Close() error
}

// Error is an error record (System.Management.Automation.ErrorRecord) that ended a script.
// What it means is told by ID, Category and HResult; Message is in the computer's language.
type Error struct {
	// Script that failed.
	Script string `json:"-"`
	// ID is the FullyQualifiedErrorId ("InvalidParameter,Microsoft.HyperV.PowerShell.Commands.NewVM").
	ID string `json:"id"`
	// Category is the ErrorCategory's name ("ObjectNotFound").
	Category string `json:"category"`
	// HResult of the exception; Type is its .NET type.
	HResult uint32 `json:"hresult"`
	Type    string `json:"type"`
	Message string `json:"message"`
	// Target is the object it was about, in words.
	Target string `json:"target"`
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s (%s, 0x%08X)", e.Script, e.Message, e.ID, e.HResult)
}
