package powershell

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// commandsMax run at once at one host.
	commandsMax = 4
	// shellUses is how many commands a shell gets before there is another one: Windows
	// counts each against MaxConcurrentOperationsPerUser until its shell is deleted
	// (MS-WSMV, product behavior note 118), 1500 by default.
	shellUses = 200
	// stopTime is how long a command may take to be stopped when its context has ended,
	// cleanTime how long what is done after that in the background.
	stopTime  = 900 * time.Millisecond
	cleanTime = 10 * time.Second
)

var errClosed = lost{errors.New("connection is closed")}

// WinRM is a Runner over WinRM with HTTPS.
type WinRM struct {
	config  WinRMConfig
	refusal *refusal
	// slots has one for each command that runs.
	slots chan struct{}
	// keeper makes and deletes shells, for what is queued.
	keeper *lane
	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc
	works  sync.WaitGroup
	once   sync.Once

	mu     sync.Mutex
	lanes  []*lane       // those that no command uses; the last was used last
	shell  *farShell     // the one that is used for new commands, or nil
	making *making       // the one that is being made, or nil
	queued chan struct{} // closed when all is done that was queued
	closed bool
}

var _ Runner = (*WinRM)(nil)

// OverWinRM makes a runner; nothing is sent yet. Close it. Its shell at the host, of which
// it has one at most, lives for half an hour after its last use when it is not closed.
func OverWinRM(c WinRMConfig) (*WinRM, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	c.Log = c.Log.With("component", "winrm", "host", c.Host)
	r := newRefusal()
	w := &WinRM{config: c, refusal: r, slots: make(chan struct{}, commandsMax), keeper: newLane(c, r)}
	w.ctx, w.cancel = context.WithCancelCause(context.Background())
	return w, nil
}

// Run implements Runner.
func (w *WinRM) Run(ctx context.Context, s Script, request []byte) ([]byte, error) {
	return run(ctx, w.config.Log, w.start, s, request)
}

// Forgive lets a login that was refused be tried again: somebody asks who may have mended
// it.
func (w *WinRM) Forgive() { w.refusal.forget() }

// start is the way of WinRM.
func (w *WinRM) start(ctx context.Context, stdin []byte) (process, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(w.ctx, func() { cancel(errClosed) })()
	if ctx.Err() != nil {
		return process{}, notStarted{context.Cause(ctx)}
	}
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return process{}, notStarted{context.Cause(ctx)}
	}
	l := w.lane()
	defer w.giveBack(l)
	return w.command(ctx, l, stdin)
}

// lane is the one that was used last, which is likely to be logged in; or another.
func (w *WinRM) lane() *lane {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.lanes)
	if n == 0 {
		return newLane(w.config, w.refusal)
	}
	l := w.lanes[n-1]
	w.lanes = w.lanes[:n-1]
	return l
}

func (w *WinRM) giveBack(l *lane) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lanes = append(w.lanes, l)
}

// command runs the bootstrap in our shell. A shell that the host has forgotten, whose
// commands have used up a quota or whose connection is lost is replaced once.
func (w *WinRM) command(ctx context.Context, l *lane, stdin []byte) (process, error) {
	for try := 0; ; try++ {
		sh, err := w.enter(ctx)
		if err != nil {
			return process{}, notStarted{fmt.Errorf("open shell: %w", err)}
		}
		r, err := l.call(ctx, startCommand(sh.id))
		var id string
		if err == nil {
			id, err = r.command()
		}
		if err == nil {
			return w.converse(ctx, l, sh, id, stdin)
		}
		// Whatever came of a request whose answer is lost gets no input, and runs nothing.
		gone := isFault(err, codeNotFound, codeOperations, codeOperationsUser)
		fresh := w.fresh(sh)
		w.leave(sh, gone || !isFault(err))
		again := isFault(err, codeNotFound) || gone && !fresh || isLost(ctx, err)
		if try > 0 || !again {
			return process{}, notStarted{fmt.Errorf("start command: %w", err)}
		}
	}
}

// Close implements Runner. What runs is stopped, and the shell deleted.
func (w *WinRM) Close() error {
	w.once.Do(func() {
		w.mu.Lock()
		sh := w.shell
		w.closed = true
		w.mu.Unlock()
		w.cancel(errClosed)
		if sh != nil {
			w.retire(sh)
		}
		for range commandsMax {
			w.slots <- struct{}{} // whoever had one is gone
		}
		w.works.Wait()
		for _, l := range w.lanes {
			l.close()
		}
		w.keeper.close()
	})
	return nil
}
