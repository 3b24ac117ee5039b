package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// The names of the files in a machine's directory.
const (
	identityName      = "process.json"
	monitorSocketName = "qmp.sock"
	consoleSocketName = "console.sock"
	channelSocketName = "channel.sock"
	consoleLogName    = "console.log"
	logName           = "qemu.log"
)

// Process is a QEMU process, running or ended.
type Process struct {
	dir string
	id  identity
	// done is closed when a process that we started has been reaped; nil when it
	// was found by Attach.
	done chan struct{}
	// exit is how it ended, once done is closed.
	exit error
}

// Start makes the machine's process and returns when QEMU has answered on its
// monitor: the firmware then runs, unless the machine is Paused. A machine that runs
// already is an error.
//
// Errors: a *MissingError for a program or firmware file that is not installed;
// what Validate says; and what QEMU printed when it ended at once.
func Start(ctx context.Context, c Config) (*Process, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	p, err := start(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("start machine %q: %w", c.Name, err)
	}
	return p, nil
}

func start(ctx context.Context, c Config) (*Process, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	if id, err := readIdentity(c.Dir); err == nil && id.running() {
		return nil, fmt.Errorf("it runs already as process %d", id.PID)
	}
	fw, err := c.Firmware.flash()
	if err != nil {
		return nil, err
	}
	if err := c.prepareVariables(fw); err != nil {
		return nil, err
	}
	argv, err := c.commandLine(fw)
	if err != nil {
		return nil, err
	}
	tpm, err := c.startTPM(ctx)
	if err != nil {
		return nil, err
	}
	p, err := c.launch(ctx, argv)
	if err != nil && tpm != nil {
		err = errors.Join(err, tpm.Kill())
	}
	return p, err
}

func (c Config) commandLine(fw flash) ([]string, error) {
	if c.Dir != filepath.Clean(c.Dir) || !filepath.IsAbs(c.Dir) {
		return nil, fmt.Errorf("directory %q: want a clean absolute path", c.Dir)
	}
	bin, err := program("qemu-system-x86_64", "qemu-system-x86")
	if err != nil {
		return nil, err
	}
	argv := append([]string{bin}, c.args(fw)...)
	if c.Namespace == "" {
		return argv, nil
	}
	ip, err := program("ip", "iproute2")
	if err != nil {
		return nil, err
	}
	return append([]string{ip, "netns", "exec", c.Namespace}, argv...), nil
}

// launch starts the process with its sockets and waits for the monitor's greeting.
func (c Config) launch(ctx context.Context, argv []string) (*Process, error) {
	files, err := c.openFiles()
	if err != nil {
		return nil, err
	}
	defer files.close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = c.Dir
	cmd.Stdout, cmd.Stderr = files.log, files.log
	cmd.ExtraFiles = []*os.File{files.monitor, files.console}
	if files.channel != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, files.channel)
	}
	p, err := run(ctx, cmd, c.Detach)
	if err != nil {
		return nil, err
	}
	files.close()
	p.dir, p.id.Name = c.Dir, c.Name
	if err := p.adopt(ctx); err != nil {
		killErr := p.Kill()
		<-p.done
		if tail := files.logTail(); tail != "" {
			return nil, fmt.Errorf("qemu ended: %s", tail)
		}
		return nil, errors.Join(err, killErr)
	}
	return p, nil
}

// adopt waits for the monitor and records which process it is.
func (p *Process) adopt(ctx context.Context) error {
	id, err := identify(p.id.Name, p.id.PID)
	if err != nil {
		return err
	}
	p.id = id
	if _, err := p.Status(ctx); err != nil {
		return err
	}
	return id.write(p.dir)
}

// run starts cmd, either in a session of its own, or tied to ctx and to the life
// of this program.
func run(ctx context.Context, cmd *exec.Cmd, detach bool) (*Process, error) {
	p := &Process{done: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if !detach {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	started := make(chan error)
	go func() {
		defer close(p.done)
		// The kernel sends Pdeathsig when the thread ends that started the child.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		stop := func() bool { return true }
		if !detach {
			stop = context.AfterFunc(ctx, func() { cmd.Process.Kill() })
		}
		p.exit = cmd.Wait()
		stop()
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	p.id.PID = cmd.Process.Pid
	return p, nil
}

// childFiles is what a QEMU process inherits.
type childFiles struct {
	monitor, console, log *os.File
	channel               *os.File // nil without a channel
	logFrom               int64
	logPath               string
}

func (c Config) openFiles() (*childFiles, error) {
	f := &childFiles{logPath: filepath.Join(c.Dir, logName)}
	var err1, err2, err3, err4 error
	f.monitor, err1 = listenUnix(filepath.Join(c.Dir, monitorSocketName))
	f.console, err2 = listenUnix(filepath.Join(c.Dir, consoleSocketName))
	f.log, err3 = os.OpenFile(f.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if c.Channel != "" {
		f.channel, err4 = listenUnix(filepath.Join(c.Dir, channelSocketName))
	}
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		f.close()
		return nil, err
	}
	if info, err := f.log.Stat(); err == nil {
		f.logFrom = info.Size()
	}
	return f, nil
}

func (f *childFiles) close() {
	for _, file := range []*os.File{f.monitor, f.console, f.log, f.channel} {
		if file != nil {
			file.Close()
		}
	}
}

// logTail is what QEMU printed since it was started, on one line.
func (f *childFiles) logTail() string {
	b, err := os.ReadFile(f.logPath)
	if err != nil || int64(len(b)) < f.logFrom {
		return ""
	}
	return lastLines(string(b[f.logFrom:]))
}

// lastLines puts the end of a program's output on one line.
func lastLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "; ")
}
