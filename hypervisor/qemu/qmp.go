package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// monitor is one connection to QEMU's monitor (QMP: docs/interop/qmp-spec in
// QEMU). QEMU serves one client at a time, so connections are short: whoever
// else has the directory gets a turn.
type monitor struct {
	conn net.Conn
	dec  *json.Decoder
}

// message is any of the things QEMU says: greeting, event, return, error.
type message struct {
	QMP    json.RawMessage `json:"QMP"`
	Event  string          `json:"event"`
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

// maxMessageBytes bounds one monitor connection's input: none of our commands
// has an answer near it.
const maxMessageBytes = 1 << 20

func dialMonitor(ctx context.Context, dir string) (*monitor, error) {
	conn, err := dialUnix(ctx, filepath.Join(dir, monitorSocketName))
	if err != nil {
		return nil, fmt.Errorf("connect to monitor: %w", err)
	}
	m := &monitor{conn: conn, dec: json.NewDecoder(io.LimitReader(conn, maxMessageBytes))}
	stop := closeOnDone(ctx, conn)
	defer stop()
	if err := m.greet(); err != nil {
		return nil, errors.Join(contextError(ctx, fmt.Errorf("greet monitor: %w", err)), conn.Close())
	}
	return m, nil
}

func (m *monitor) greet() error {
	var hello message
	if err := m.dec.Decode(&hello); err != nil {
		return err
	}
	if hello.QMP == nil {
		return errors.New("the peer does not speak QMP")
	}
	_, err := m.call("qmp_capabilities", nil)
	return err
}

// call sends a command and returns its answer, passing over events.
func (m *monitor) call(command string, args any) (json.RawMessage, error) {
	req := struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, args}
	if err := json.NewEncoder(m.conn).Encode(req); err != nil {
		return nil, fmt.Errorf("monitor command %s: %w", command, err)
	}
	for {
		var answer message
		if err := m.dec.Decode(&answer); err != nil {
			return nil, fmt.Errorf("monitor command %s: %w", command, err)
		}
		switch {
		case answer.Error != nil:
			return nil, fmt.Errorf("monitor command %s: %s", command, answer.Error.Desc)
		case answer.Return != nil:
			return answer.Return, nil
		}
	}
}

// monitorTimeout bounds a command when the caller's context does not: another
// client that keeps the monitor must not hang us.
const monitorTimeout = 30 * time.Second

// command opens the monitor in dir for one command.
func command(ctx context.Context, dir, name string, args, result any) error {
	ctx, cancel := context.WithTimeout(ctx, monitorTimeout)
	defer cancel()
	m, err := dialMonitor(ctx, dir)
	if err != nil {
		return err
	}
	defer m.conn.Close()
	stop := closeOnDone(ctx, m.conn)
	defer stop()
	answer, err := m.call(name, args)
	if err != nil {
		return contextError(ctx, err)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(answer, result); err != nil {
		return fmt.Errorf("monitor command %s: read answer: %w", name, err)
	}
	return nil
}

// closeOnDone cuts the connection when ctx ends, until stop is called.
func closeOnDone(ctx context.Context, conn net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
}

// contextError prefers the reason why ctx ended over what the cut connection said.
func contextError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%w (%w)", err, cause)
	}
	return err
}

// dialUnix connects to a socket whose path may be longer than the 107 bytes that
// fit into a socket address, by way of its open directory.
func dialUnix(ctx context.Context, path string) (net.Conn, error) {
	dir, short, err := shortPath(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var d net.Dialer
	return d.DialContext(ctx, "unix", short)
}

// listenUnix makes a listening socket at a path of any length, replacing one
// that an ended process left behind, and returns its file for a child to inherit.
func listenUnix(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	dir, short, err := shortPath(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	f, err := l.File()
	return f, errors.Join(err, l.Close())
}

func shortPath(path string) (*os.File, string, error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, "", err
	}
	return dir, "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + filepath.Base(path), nil
}
