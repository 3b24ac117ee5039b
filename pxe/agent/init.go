package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// childEnv is set for the process that does the work.
const childEnv = "INGOT_AGENT_CHILD=1"

// Main runs the agent. PID 1 only starts itself again as a child, which does the work:
// so a crash of the child is told to the server, through the kernel's log and netconsole,
// and the machine starts over. PID 1 ends in a reboot. Any other process ends at once
// with exit code 2: it would mount over the directories of the system it runs on, and
// reboot it.
func Main(version string) {
	switch {
	case os.Getpid() == 1:
		supervise()
	case os.Getppid() == 1 && os.Getenv("INGOT_AGENT_CHILD") == "1":
		if err := run(context.Background(), version); err != nil {
			fmt.Fprintln(os.Stderr, "ingot-agent:", err)
			os.Exit(exitFailed)
		}
	default:
		fmt.Fprintln(os.Stderr, "ingot-agent is the init of Ingot's boot environment, and runs as nothing else")
		os.Exit(2)
	}
}

// exitFailed is the child's exit code after an error that it has told.
const exitFailed = 3

// supervise runs the child and reboots when it has ended.
func supervise() {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{ReplaceAttr: noTime}))
	tail := &crashTail{console: os.Stderr}
	cmd := exec.Command("/init")
	cmd.Env = append(os.Environ(), childEnv)
	cmd.Stdout, cmd.Stderr = os.Stdout, tail
	err := cmd.Run()
	pause := orderedPause
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == exitFailed:
		pause = failedPause
	case err != nil:
		pause = failedPause
		log.Error("agent crashed", "err", err)
		// The kernel drops all but ten lines in five seconds from programs unless it is told
		// not to (Linux, Documentation/admin-guide/sysctl/kernel.rst: printk_devkmsg).
		_ = os.WriteFile("/proc/sys/kernel/printk_devkmsg", []byte("on\n"), 0o644) // else it is shorter
		if err := tail.toKernel("/dev/kmsg", err); err != nil {
			log.Error("tell crash", "err", err)
		}
	}
	time.Sleep(pause)
	reboot(log)
}

// crashTail passes output on and keeps the beginning of what a crash printed.
type crashTail struct {
	console io.Writer
	// line is the beginning of the line under way, as much as shows whether it is a sign.
	line  []byte
	crash []byte
}

// crashBytes is what the kernel's log gets of a crash: its reason and the first stacks.
const crashBytes = 4 << 10

// crashSigns begin what the Go runtime prints when a program dies.
var crashSigns = [][]byte{[]byte("panic: "), []byte("fatal error: "), []byte("SIG")}

const crashSignBytes = len("fatal error: ")

// Write implements io.Writer. The runtime prints a crash at the start of a line, in small
// pieces, which come one by one or together.
func (t *crashTail) Write(p []byte) (int, error) {
	_, _ = t.console.Write(p) // a broken console must not stop the agent
	if len(t.crash) > 0 {
		t.crash = append(t.crash, p[:min(len(p), crashBytes-len(t.crash))]...)
		return len(p), nil
	}
	rest := append(t.line, p...)
	for {
		if isCrash(rest) {
			t.crash = append(t.crash, rest[:min(len(rest), crashBytes)]...)
			return len(p), nil
		}
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			t.line = bytes.Clone(rest[:min(len(rest), crashSignBytes)])
			return len(p), nil
		}
		rest = rest[end+1:]
	}
}

func isCrash(line []byte) bool {
	return slices.ContainsFunc(crashSigns, func(sign []byte) bool { return bytes.HasPrefix(line, sign) })
}

// toKernel writes the crash to the kernel's log line by line.
func (t *crashTail) toKernel(device string, exit error) error {
	f, err := os.OpenFile(device, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bytes.Split(bytes.TrimSpace(t.crash), []byte("\n"))
	lines = append(lines, fmt.Appendf(nil, "agent ended: %v", exit))
	for _, line := range lines {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		// <2> is KERN_CRIT: above every console level, so netconsole has it too.
		record := append([]byte("<2>ingot-agent: "), line[:min(len(line), 800)]...)
		if _, err := f.Write(append(record, '\n')); err != nil {
			return err
		}
	}
	return nil
}

func reboot(log *slog.Logger) {
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART); err != nil {
		log.Error("reboot", "err", err)
	}
	select {}
}
