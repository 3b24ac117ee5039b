package powershell

import (
	"context"
	"time"
)

// closeTime is how much longer a shell that is being made may take when the runner closes:
// given up on the way, it would be left over.
const closeTime = 3 * time.Second

// farShell is a shell at the host. Its fields but id are guarded by the runner.
type farShell struct {
	id string
	// users are the commands in it, used those that there ever were.
	users, used      int
	retired, removed bool
}

// making is a shell on its way.
type making struct {
	done chan struct{}
	err  error
}

// enter takes the shell for one command, and makes it when there is none. Those who come
// together wait for the same one; who gives up leaves it to the next.
func (w *WinRM) enter(ctx context.Context) (*farShell, error) {
	for {
		sh, m := w.take()
		if sh != nil {
			return sh, nil
		}
		if m == nil {
			return nil, errClosed
		}
		select {
		case <-m.done:
			if m.err != nil {
				return nil, m.err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// take is the shell, or the making of it that was begun; neither, when closed.
func (w *WinRM) take() (*farShell, *making) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return nil, nil
	case w.shell != nil:
		w.shell.users++
		w.shell.used++
		return w.shell, nil
	case w.making == nil:
		m := &making{done: make(chan struct{})}
		w.making = m
		w.queue(func() { w.make(m) })
	}
	return nil, w.making
}

// make makes a shell on its own time: one whose caller gave up would be left over.
func (w *WinRM) make(m *making) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	defer context.AfterFunc(w.ctx, func() { time.AfterFunc(closeTime, cancel) })()
	var sh *farShell
	r, err := w.keeper.call(ctx, createShell())
	if isLost(ctx, err) {
		r, err = w.keeper.call(ctx, createShell())
	}
	if err == nil {
		sh = new(farShell)
		sh.id, err = r.shell()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	defer close(m.done)
	w.making, m.err = nil, err
	switch {
	case err != nil:
	case w.closed:
		sh.retired, sh.removed = true, true
		w.queue(func() { w.remove(sh) })
	default:
		w.shell = sh
	}
}

// leave ends the use of a shell by one command.
func (w *WinRM) leave(sh *farShell, retire bool) {
	w.mu.Lock()
	sh.users--
	retire = retire || sh.used >= shellUses || sh.retired
	w.mu.Unlock()
	if retire {
		w.retire(sh)
	}
}

// retire takes a shell out of use; it is deleted when no command is in it any more.
func (w *WinRM) retire(sh *farShell) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shell == sh {
		w.shell = nil
	}
	sh.retired = true
	if sh.users == 0 && !sh.removed {
		sh.removed = true
		w.queue(func() { w.remove(sh) })
	}
}

// fresh tells whether a shell is in its first use.
func (w *WinRM) fresh(sh *farShell) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return sh.used <= 1
}

// queue does something on the keeper's lane after all that was queued before: a shell is
// made after the one that it replaces is deleted, since that frees its quotas. The
// caller holds the lock.
func (w *WinRM) queue(f func()) {
	before, done := w.queued, make(chan struct{})
	w.queued = done
	w.works.Go(func() {
		defer close(done)
		if before != nil {
			<-before
		}
		f()
	})
}

func (w *WinRM) remove(sh *farShell) {
	ctx, cancel := context.WithTimeout(context.Background(), cleanTime)
	defer cancel()
	if _, err := w.keeper.call(ctx, deleteShell(sh.id)); err != nil && !isFault(err, codeNotFound) {
		w.config.Log.Warn("shell is left over at the host; it ends by itself", "after", shellIdle, "err", err)
	}
}
