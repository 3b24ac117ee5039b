package powershell

import (
	"context"
	"errors"
	"fmt"
)

// converse feeds a command, takes its output and frees it.
func (w *WinRM) converse(ctx context.Context, l *lane, sh *farShell, id string, stdin []byte) (process, error) {
	p, err := w.exchange(ctx, l, sh.id, id, stdin)
	limit := cleanTime
	if ctx.Err() != nil {
		limit = stopTime
	}
	freeing, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	_, stopped := l.call(freeing, terminate(sh.id, id))
	if stopped != nil && !isFault(stopped, codeNotFound) {
		w.config.Log.DebugContext(ctx, "command was not freed", "err", stopped)
	}
	// A command that could not be stopped goes with its shell.
	w.leave(sh, stopped != nil || isFault(err, codeNotFound, codeAborted))
	if err != nil && ctx.Err() != nil {
		err = keepMark(err, context.Cause(ctx))
	}
	return p, err
}

// keepMark gives why its mark, if err has it.
func keepMark(err, why error) error {
	if errors.Is(err, ErrNotStarted) {
		return notStarted{why}
	}
	return why
}

// exchange sends the input and receives the output. A fault on the way in may be that of a
// process that has ended: its output tells.
func (w *WinRM) exchange(ctx context.Context, l *lane, shell, id string, stdin []byte) (process, error) {
	fed, err := feed(ctx, l, shell, id, stdin)
	if err != nil && !isFault(err) {
		return process{}, unlessFed(fed, fmt.Errorf("send input: %w", err))
	}
	listen := receiveOutput(shell, id)
	if err != nil {
		listen.timeout = lastWords
	}
	var p process
	for {
		r, broken := l.call(ctx, listen)
		switch {
		case isFault(broken, codeTimedOut):
			if err != nil {
				return p, notStarted{fmt.Errorf("send input: %w", err)}
			}
			continue
		case broken != nil:
			return p, unlessFed(fed, fmt.Errorf("receive output: %w", errors.Join(err, broken)))
		}
		done, broken := r.output(&p)
		if done || broken != nil {
			return p, broken
		}
	}
}

// unlessFed marks an error of a script that did not get all of its input.
func unlessFed(fed bool, err error) error {
	if fed {
		return err
	}
	return notStarted{err}
}

// feed sends the input in chunks. fed tells whether the last one may have arrived.
func feed(ctx context.Context, l *lane, shell, id string, stdin []byte) (fed bool, err error) {
	for at := 0; ; at += chunkBytes {
		chunk := stdin[at:min(at+chunkBytes, len(stdin))]
		last := at+chunkBytes >= len(stdin)
		_, err := l.call(ctx, sendInput(shell, id, chunk, last))
		if err != nil {
			return last && !isRefused(err), err
		}
		if last {
			return true, nil
		}
	}
}
