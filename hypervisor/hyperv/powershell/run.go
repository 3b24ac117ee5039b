package powershell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"ingot/inventory"
)

const (
	// outputMax is the most that a script may write.
	outputMax = 32 << 20
	// quoteMax is how much of what a program said goes into an error or the log.
	quoteMax = 2000
)

// ErrNotStarted is in the chain of errors after which the script surely did not start, so
// that it can be run again whatever it does. After any other error of the way there (not
// an *Error) it may have run, in part or whole.
var ErrNotStarted = errors.New("not started")

// notStarted marks an error; its text stays what it is.
type notStarted struct{ error }

// Unwrap is for errors.Is and errors.As.
func (e notStarted) Unwrap() []error { return []error{e.error, ErrNotStarted} }

// process is what a far powershell.exe left.
type process struct {
	stdout, stderr []byte
	exit           int
}

// way starts powershell.exe at the computer and feeds it; its error is of the way there.
type way func(ctx context.Context, stdin []byte) (process, error)

// run is Runner.Run over any way.
func run(ctx context.Context, log *slog.Logger, start way, s Script, request []byte) ([]byte, error) {
	nonce := newNonce()
	stdin, err := encodeInput(nonce, s, request)
	if err != nil {
		return nil, notStarted{err}
	}
	p, err := start(ctx, stdin)
	if err != nil {
		return nil, fmt.Errorf("script %s: %w", s.Name, err)
	}
	answer, outside, err := findAnswer(nonce, p.stdout)
	if len(outside) > 0 || len(p.stderr) > 0 {
		log.DebugContext(ctx, "script said more than its answer", "script", s.Name, "stdout", quote(string(outside)), "stderr", quote(errorText(p.stderr)))
	}
	if err != nil {
		return nil, fmt.Errorf("script %s: %w", s.Name, withoutAnswer(p, err))
	}
	return open(s, answer)
}

// withoutAnswer says what an exit code means that came without an answer.
func withoutAnswer(p process, err error) error {
	switch {
	case p.exit == ExitLanguage:
		return notStarted{fmt.Errorf("PowerShell's language mode is not FullLanguage for this login (AppLocker or Application Control restricts it): allow it for the account, or use another: %w", inventory.ErrUnsupported)}
	case p.exit == ExitNotWhole:
		return notStarted{lost{errors.New("standard input did not arrive whole")}}
	case p.exit == 9009 || p.exit == 127: // cmd.exe's and POSIX shells' "not found"
		return notStarted{fmt.Errorf("no %s in the PATH of this login (exit code %d): %s: %w", Program, p.exit, quote(errorText(p.stderr)), inventory.ErrUnsupported)}
	}
	// Somebody ended it, or the host goes down.
	return lost{fmt.Errorf("%w: %s ended with exit code %d: %s", err, Program, p.exit, quote(errorText(p.stderr)))}
}

// open takes the result, or the error, out of the prelude's envelope.
func open(s Script, answer []byte) ([]byte, error) {
	var envelope struct {
		OK     *bool           `json:"ok"`
		Result json.RawMessage `json:"result"`
		Error  *Error          `json:"error"`
	}
	err := json.Unmarshal(answer, &envelope)
	switch {
	case err != nil:
		return nil, fmt.Errorf("script %s: read answer: %w", s.Name, err)
	case envelope.OK == nil || *envelope.OK != (envelope.Error == nil):
		return nil, fmt.Errorf("script %s: read answer: neither result nor error", s.Name)
	case envelope.Error != nil:
		envelope.Error.Script = s.Name
		return nil, envelope.Error
	}
	return envelope.Result, nil
}

// quote is the start of a text.
func quote(s string) string {
	if len(s) > quoteMax {
		return s[:quoteMax] + "..."
	}
	return s
}
