package guestrun

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"sync"
	"time"

	"ingot/hypervisor/qemu"
)

// Guest is a machine that runs, or has ended. [Guest.Close] must be called.
type Guest struct {
	scratch *scratch
	process *qemu.Process
	console *console
	channel *channel
	server  *server // nil without
	log     *slog.Logger
	// Disk is the overlay's path, and Accelerated tells KVM from emulation.
	Disk        string
	Accelerated bool

	// life ends when the guest fails or is closed; its cause is the failure.
	life context.Context
	fail context.CancelCauseFunc
	// kill ends the process.
	kill   context.CancelFunc
	sign   chan struct{} // signs of life
	owners sync.WaitGroup
}

// errClosed is the cause of a guest's end that its owner wanted.
var errClosed = errors.New("the guest was closed")

// Do runs a command and waits for it, after [Guest.Ready]. That it exits with a status,
// or was ended by its time limit, is a Result and no error.
func (g *Guest) Do(ctx context.Context, c Command) (Result, error) {
	if err := c.Check(); err != nil {
		return Result{}, err
	}
	if err := g.Ready(ctx); err != nil {
		return Result{}, fmt.Errorf("run %s: %w", c.Name, err)
	}
	began := time.Now()
	limit, cancel := context.WithTimeoutCause(ctx, c.timeout()+grace, guestErrorf("the guest did not answer within %v", c.timeout()+grace))
	defer cancel()
	var a answer
	err := g.with(limit, func() (err error) {
		a, err = g.channel.do(c, g.heard)
		return err
	})
	if err != nil {
		return Result{}, fmt.Errorf("run %s: %w", c.Name, err)
	}
	r := Result{ExitCode: a.status, Output: string(a.output), Truncated: a.dropped > 0, Took: time.Since(began)}
	r.TimedOut = r.Took >= c.timeout() && (a.status == 124 || a.status == 137) // timeout(1)
	g.log.Info("guest command", "command", c.Name, "status", r.ExitCode, "took", r.Took)
	return r, nil
}

// Ready waits until the guest takes commands. It is the guest's stall limit that ends
// the wait for one that never does.
func (g *Guest) Ready(ctx context.Context) error {
	return g.with(ctx, func() error { return g.channel.hello(g.heard) })
}

// with runs f, which uses the channel, for as long as the guest lives and ctx allows.
func (g *Guest) with(ctx context.Context, f func() error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(g.life, func() { cancel(context.Cause(g.life)) })()
	err := g.channel.use(ctx, f)
	if err == nil || context.Cause(ctx) != nil || errors.As(err, new(*GuestError)) {
		return err
	}
	// The port is QEMU's: it closed because QEMU ended, which says more.
	select {
	case <-g.life.Done():
		return context.Cause(g.life)
	case <-time.After(10 * time.Second):
		return err
	}
}

// WaitConsole waits until the console has said what fits the pattern, from the start on,
// and returns that. Only the last 32 KiB are looked at.
func (g *Guest) WaitConsole(ctx context.Context, pattern *regexp.Regexp) (string, error) {
	var from int64
	for {
		text, total, more := g.console.since(from)
		if found := pattern.FindString(Plain(text)); found != "" {
			return found, nil
		}
		from = total
		select {
		case <-more:
		case <-g.life.Done():
			return "", context.Cause(g.life)
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// Console is the path of the file with all that the console said. Close removes it.
func (g *Guest) Console() string { return qemu.ConsoleLog(g.scratch.path(machineName)) }

// ConsoleTail is what the console said last, as text.
func (g *Guest) ConsoleTail() string {
	text, _, _ := g.console.since(0)
	return Plain(text)
}

// Screenshot writes what the screen shows to path, as PNG. It works for a guest that
// failed, too, until Close.
func (g *Guest) Screenshot(ctx context.Context, path string) error {
	return g.process.Screendump(ctx, path)
}

// Failed is closed when the guest has failed or ended; Err then says why.
func (g *Guest) Failed() <-chan struct{} { return g.life.Done() }

// Err is why the guest has failed or ended: a [*GuestError], or an error of this host.
// It is nil while it runs.
func (g *Guest) Err() error { return context.Cause(g.life) }

// ErrKilled means that a guest did not switch itself off in time.
var ErrKilled = errors.New("the guest did not switch itself off and was killed")

// Shutdown asks the guest to switch off, through the channel where it has one and by the
// power button, and waits for it. After limit it is killed, which is ErrKilled.
func (g *Guest) Shutdown(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	asked := g.channel.use(ctx, g.channel.off)
	if asked != nil {
		if err := g.process.Powerdown(ctx); err != nil && g.process.Running() {
			return fmt.Errorf("shut guest down: %w", err)
		}
	}
	select {
	case <-g.life.Done(): // ended, or stalled
	case <-ctx.Done():
	}
	return g.ended(ctx)
}

// ended waits for the process after a request to switch off.
func (g *Guest) ended(ctx context.Context) error {
	if err := g.process.Wait(ctx); err != nil {
		return fmt.Errorf("shut guest down: %w (%w)", ErrKilled, errors.Join(err, g.process.PowerOff(context.WithoutCancel(ctx))))
	}
	if err := g.process.ExitError(); err != nil {
		return fmt.Errorf("shut guest down: %w", err)
	}
	return nil
}

// Close kills the guest if it runs, waits until all of it is gone and removes its folder.
func (g *Guest) Close() error {
	g.fail(errClosed)
	g.kill()
	err := g.process.Wait(context.Background())
	g.channel.close()
	g.owners.Wait()
	if g.server != nil {
		err = errors.Join(err, g.server.close())
	}
	return errors.Join(err, g.scratch.remove())
}

// heard is called for every sign of life.
func (g *Guest) heard() {
	select {
	case g.sign <- struct{}{}:
	default:
	}
}

// SaveConsole copies all that the console said to path.
func (g *Guest) SaveConsole(path string) error {
	data, err := os.ReadFile(g.Console())
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
