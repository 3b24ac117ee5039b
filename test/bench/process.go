package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// peer is the path of an unpacked peer's program, or of an installed one.
func (b *bench) peer(name string) string {
	for _, dir := range []string{"usr/sbin", "usr/bin"} {
		if path := filepath.Join(b.peers, dir, name); exists(path) {
			return path
		}
	}
	for _, dir := range []string{"/usr/sbin", "/usr/bin"} {
		if path := filepath.Join(dir, name); exists(path) {
			return path
		}
	}
	return name
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// environ is for peers: their libraries are unpacked too.
func (b *bench) environ() []string {
	return append(os.Environ(), "INGOT_LOCAL_HOST=false", "LD_LIBRARY_PATH="+b.libraries())
}

func (b *bench) libraries() string {
	dirs, _ := filepath.Glob(filepath.Join(b.peers, "usr/lib/*-linux-gnu*")) // a bad pattern is the only error
	more, _ := filepath.Glob(filepath.Join(b.peers, "lib/*-linux-gnu*"))     // the same
	return strings.Join(append(dirs, more...), ":")
}

// server is a program that runs until stop.
type server struct {
	cmd *exec.Cmd
	out *output
	end chan error
}

// output keeps what a program prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// startLimit is how long a server may take to be ready.
const startLimit = 30 * time.Second

// start runs a program and waits until ready says so.
func (b *bench) start(ctx context.Context, ready func(*server) bool, env []string, args ...string) (*server, error) {
	s := &server{cmd: exec.CommandContext(ctx, args[0], args[1:]...), out: &output{}, end: make(chan error, 1)}
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Env = s.out, s.out, append(b.environ(), env...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.cmd.Cancel = func() error { return syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) }
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.end <- s.cmd.Wait() }()
	if err := s.wait(ready, startLimit); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// wait until ready says so, or the program ends.
func (s *server) wait(ready func(*server) bool, limit time.Duration) error {
	tick, late := time.NewTicker(20*time.Millisecond), time.NewTimer(limit)
	defer tick.Stop()
	defer late.Stop()
	for !ready(s) {
		select {
		case err := <-s.end:
			s.end <- err
			return fmt.Errorf("%s ended: %w: %s", s.cmd.Path, err, lastLines(s.out.text()))
		case <-late.C:
			return fmt.Errorf("%s: not ready after %s: %s", s.cmd.Path, limit, lastLines(s.out.text()))
		case <-tick.C:
		}
	}
	return nil
}

func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}

// stop ends the program and its children.
func (s *server) stop() error {
	if err := syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop %s: %w", s.cmd.Path, err)
	}
	<-s.end // killed: the error says only that
	return nil
}

// prints waits for a text; listens for a TCP port.
func prints(text string) func(*server) bool {
	return func(s *server) bool { return strings.Contains(s.out.text(), text) }
}

func listens(address string) func(*server) bool {
	return func(*server) bool {
		c, err := net.DialTimeout("tcp4", address, time.Second)
		if err != nil {
			return false
		}
		return c.Close() == nil
	}
}

// clockTicks is USER_HZ, which is 100 on all of Linux's architectures that matter here.
const clockTicks = 100

// cpu is the user and system time of the program and its children that live.
func (s *server) cpu() (time.Duration, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	total := 0
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		_, rest, ok := bytes.Cut(text, []byte(") "))
		f := strings.Fields(string(rest))
		if !ok || len(f) < 13 || f[2] != strconv.Itoa(s.cmd.Process.Pid) { // column 5: process group
			continue
		}
		for _, column := range f[11:13] { // columns 14 and 15: utime, stime
			n, err := strconv.Atoi(column)
			if err != nil {
				return 0, fmt.Errorf("read %s: %w", path, err)
			}
			total += n
		}
	}
	return time.Duration(total) * time.Second / clockTicks, nil
}

// used is the CPU time of a program that ended, with its children.
func used(cmd *exec.Cmd) time.Duration {
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// command runs a program to its end.
func (b *bench) command(ctx context.Context, env []string, args ...string) (string, *exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(b.environ(), env...)
	cmd.Dir = b.scratch
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), cmd, fmt.Errorf("%s: %w: %s", args[0], err, lastLines(string(out)))
	}
	return string(out), cmd, nil
}

// lineOf decodes the first JSON object that a part printed.
func lineOf(text string) (map[string]int64, error) {
	out := map[string]int64{}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("read result %q: %w", lastLines(text), err)
	}
	return out, nil
}
