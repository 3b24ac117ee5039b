package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Attach finds the running process of a machine by its directory, also when
// another program started it. ErrNotRunning means that the machine is off.
func Attach(dir string) (*Process, error) {
	id, err := readIdentity(dir)
	if err != nil {
		return nil, fmt.Errorf("attach to machine in %s: %w", dir, err)
	}
	if !id.running() {
		return nil, fmt.Errorf("attach to machine %q: %w", id.Name, ErrNotRunning)
	}
	return &Process{dir: dir, id: id}, nil
}

// PID is the process id of QEMU.
func (p *Process) PID() int { return p.id.PID }

// Running reports whether the process exists.
func (p *Process) Running() bool { return p.id.running() }

// Wait returns when the process has ended, or with ctx's error.
func (p *Process) Wait(ctx context.Context) error {
	if p.done == nil {
		if !p.id.running() {
			return nil
		}
		return WaitPID(ctx, p.id.PID)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ExitError says how a process that this program started has ended: nil after the
// guest switched itself off, an [*exec.ExitError] for a signal or a bad status. It is
// [ErrRunning] while the process runs, and nil for one found by Attach.
func (p *Process) ExitError() error {
	if p.done == nil {
		return nil
	}
	select {
	case <-p.done:
		return p.exit
	default:
		return ErrRunning
	}
}

// ErrRunning means that the machine's process has not ended.
var ErrRunning = errors.New("the machine is running")

// WaitPID waits for the end of a process that need not be a child of this program:
// its pidfd becomes readable then. One that does not exist is no error.
func WaitPID(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("wait for process %d: %w", pid, err)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	stop := context.AfterFunc(ctx, func() { f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	err = raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n == 1 && err == nil
	})
	if err != nil {
		return contextError(ctx, fmt.Errorf("wait for process %d: %w", pid, err))
	}
	return nil
}

// Status is the state that QEMU reports: "running", "paused", "shutdown",
// "guest-panicked" and others (QEMU's RunState).
func (p *Process) Status(ctx context.Context) (string, error) {
	var answer struct {
		Status string `json:"status"`
	}
	err := command(ctx, p.dir, "query-status", nil, &answer)
	return answer.Status, err
}

// Resume lets the processors of a paused machine run. QEMU takes connections in the
// order in which they are made: one to the console or the channel that was made before
// misses nothing.
func (p *Process) Resume(ctx context.Context) error { return command(ctx, p.dir, "cont", nil, nil) }

// Reset is the reset button: no warning to the guest. SeaBIOS does not survive it
// in the first milliseconds after Start.
func (p *Process) Reset(ctx context.Context) error {
	return command(ctx, p.dir, "system_reset", nil, nil)
}

// Powerdown presses the power button: the guest is asked (ACPI) to shut down.
// It does not wait; Wait does.
func (p *Process) Powerdown(ctx context.Context) error {
	return command(ctx, p.dir, "system_powerdown", nil, nil)
}

// Screendump writes what the machine's screen shows to path, as PNG.
func (p *Process) Screendump(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	return command(ctx, p.dir, "screendump", map[string]string{"filename": path, "format": "png"}, nil)
}

// PowerOff pulls the plug and waits for the end: the process is killed, nothing
// is flushed by the guest. A machine that is off is no error.
func (p *Process) PowerOff(ctx context.Context) error {
	if err := p.Kill(); err != nil {
		return err
	}
	return p.Wait(ctx)
}

// Kill sends the process SIGKILL and does not wait. An ended one is no error.
func (p *Process) Kill() error {
	if !p.id.running() {
		return nil
	}
	err := syscall.Kill(p.id.PID, syscall.SIGKILL)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill process %d: %w", p.id.PID, err)
	}
	return nil
}

// Console connects to the serial console. QEMU serves one client at a time: a
// second one is connected but hears nothing until the first has gone. What the
// console said before is in ConsoleLog alone: see Config.Paused.
func (p *Process) Console(ctx context.Context) (net.Conn, error) {
	conn, err := dialUnix(ctx, filepath.Join(p.dir, consoleSocketName))
	if err != nil {
		return nil, fmt.Errorf("connect to console of %q: %w", p.id.Name, err)
	}
	return conn, nil
}

// Channel connects to the machine's virtio-serial port ([Config.Channel]), one client
// at a time. What comes out of it is the guest's word: bound it.
func (p *Process) Channel(ctx context.Context) (net.Conn, error) {
	conn, err := dialUnix(ctx, filepath.Join(p.dir, channelSocketName))
	if err != nil {
		return nil, fmt.Errorf("connect to channel of %q: %w", p.id.Name, err)
	}
	return conn, nil
}

// ConsoleLog is the path of the file with everything the serial console said, of
// all power-ons of the machine in dir.
func ConsoleLog(dir string) string { return filepath.Join(dir, consoleLogName) }
