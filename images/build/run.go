package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// run starts a tool and logs what it prints. The error holds the last lines of it.
func (b *build) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	out := &bytes.Buffer{}
	err := b.runTo(ctx, io.MultiWriter(out, b.log), out, name, args...)
	return out.Bytes(), err
}

// runQuiet returns what a tool prints, and logs only what it complains of.
func (b *build) runQuiet(ctx context.Context, name string, args ...string) ([]byte, error) {
	out, said := &bytes.Buffer{}, &bytes.Buffer{}
	err := b.runTo(ctx, out, said, name, args...)
	return out.Bytes(), err
}

// runTo starts a tool with a clean environment, in a mount and process namespace of its
// own: what it mounts vanishes and what it starts dies with it, however it ends, also when
// this program is killed. Without root that is mmdebstrap's own affair.
func (b *build) runTo(ctx context.Context, stdout io.Writer, said *bytes.Buffer, name string, args ...string) error {
	// The signal of a dead parent comes when the thread that started it dies.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		// tools look into /proc, which must be the namespace's
		cmd = exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", `mount -t proc proc /proc && "$@"`, "sh", name}, args...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS}
	}
	cmd.Env = b.environment()
	cmd.Dir = b.dir
	cmd.WaitDelay = 30 * time.Second
	fmt.Fprintf(b.log, "$ %s %s\n", name, strings.Join(args, " "))
	cmd.Stdout, cmd.Stderr = stdout, io.MultiWriter(said, b.log)
	if err := cmd.Run(); err != nil {
		return errors.Join(ctx.Err(), &toolError{name, err, said.String()})
	}
	return nil
}

// toolError is a tool that failed.
type toolError struct {
	name string
	err  error
	said string
}

func (e *toolError) Error() string {
	return fmt.Sprintf("run %s: %v: %s", e.name, e.err, lastLines(e.said, 8))
}

func (e *toolError) Unwrap() error { return e.err }

func (b *build) environment() []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TMPDIR=" + b.dir, "HOME=" + b.dir, "TZ=UTC",
		"MTOOLS_SKIP_CHECK=1", "DEBIAN_FRONTEND=noninteractive", noInitrd, "APT_CONFIG=" + filepath.Join(b.dir, aptEarly),
		fmt.Sprintf("SOURCE_DATE_EPOCH=%d", sourceDate), fmt.Sprintf("E2FSPROGS_FAKE_TIME=%d", sourceDate)}
	if _, err := os.Stat(filepath.Join(b.dir, aptEarly)); err != nil {
		env = append(env, "APT_CONFIG=")
	}
	for _, key := range []string{"http_proxy", "https_proxy", "no_proxy"} {
		if value, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+value)
		}
	}
	return env
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " / ")
}
