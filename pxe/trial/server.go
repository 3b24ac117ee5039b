package trial

import (
	"bufio"
	"context"
	"encoding/json"
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

	"ingot/images/guestrun"
	"ingot/inventory"
)

// stopTime is how long a program may take to end when it is asked to.
const stopTime = 15 * time.Second

// child is a program in the rack's namespace that ends with this one.
type child struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	// done is closed when it has ended, err being how.
	done chan struct{}
	err  error
}

// start starts ingot in the namespace. Of the environment it gets nothing of ours: what
// configures the production server must not reach the test's.
func (r *run) start(ctx context.Context, out, errs io.Writer, env []string, args ...string) (*child, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := r.lab.Command(ctx, r.tester.Program, args...)
	cmd.Env = append(plainEnvironment(os.Environ()), env...)
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTime
	c := &child{cmd: cmd, cancel: cancel, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(c.done)
		// The kernel sends Pdeathsig when the thread ends that started the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		cancel()
		return nil, fmt.Errorf("start the test's server: %w", err)
	}
	return c, nil
}

func plainEnvironment(environ []string) (plain []string) {
	for _, kv := range environ {
		if !strings.HasPrefix(kv, "INGOT_") {
			plain = append(plain, kv)
		}
	}
	return plain
}

// end asks it to end, and waits. How it ends then says nothing.
func (c *child) end() {
	c.cancel()
	<-c.done
}

// server is the test's ingot serve.
type server struct {
	*child
	log string
	// read is closed when all that it said is in the log.
	read chan struct{}
	out  io.Closer
}

// upLine is what the server logs when it answers.
const upLine = "ingot serve is up"

// serve starts the server and waits until it is up.
func (r *run) serve(ctx context.Context) (*server, error) {
	s := &server{log: filepath.Join(r.dir, "server.log"), read: make(chan struct{})}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	s.out = log
	read, write := io.Pipe()
	up := make(chan struct{})
	go func() {
		defer close(s.read)
		readLog(read, log, up)
	}()
	if s.child, err = r.start(ctx, io.Discard, write, nil, "serve", "--config", r.configPath()); err != nil {
		return nil, errors.Join(err, write.Close(), log.Close())
	}
	go func() { <-s.done; write.Close() }()
	select {
	case <-up:
		return s, nil
	case <-s.done:
		stopped := s.stop()
		return nil, errors.Join(fmt.Errorf("the test's server ended at once: %s", s.lastLines()), stopped)
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), s.stop())
	}
}

// readLog copies the server's log and closes up when it says that it is up.
func readLog(from io.Reader, to io.Writer, up chan<- struct{}) {
	lines := bufio.NewReader(io.TeeReader(from, to))
	for told := false; ; {
		line, err := lines.ReadString('\n')
		if !told && strings.Contains(line, upLine) {
			told = true
			close(up)
		}
		if err != nil {
			return
		}
	}
}

func (s *server) stop() error {
	s.end()
	<-s.read
	return s.out.Close()
}

func (s *server) lastLines() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return guestrun.LastLines(string(text), 2)
}

// events are what happens on the test's server.
type events struct {
	*child
	events chan inventory.Event
	read   *io.PipeReader
}

// follow reads the events from the first one on.
func (r *run) follow(ctx context.Context) (*events, error) {
	token, err := os.ReadFile(filepath.Join(r.dir, dataName, "admin.token"))
	if err != nil {
		return nil, fmt.Errorf("read the test server's token: %w", err)
	}
	read, write := io.Pipe()
	f := &events{events: make(chan inventory.Event), read: read}
	f.child, err = r.start(ctx, write, io.Discard, []string{"INGOT_TOKEN=" + strings.TrimSpace(string(token))}, "events", "-f", "--limit", "0", "-o", "json")
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	go func() { <-f.done; write.Close() }()
	go func() {
		defer close(f.events)
		for dec := json.NewDecoder(read); ; {
			var e inventory.Event
			if dec.Decode(&e) != nil {
				return
			}
			f.events <- e
		}
	}()
	return f, nil
}

// stop ends it; what it had still to tell is dropped.
func (f *events) stop() error {
	f.cancel()
	for range f.events {
	}
	<-f.done
	return f.read.Close()
}
