package libvirt

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// sshDialer goes through the system's ssh, so that the user's configuration, agent and
// jump hosts are used. On the far side virt-ssh-helper finds the daemon's socket; where
// there is none, nc is given the usual one. It never asks for a password: nobody is there.
func sshDialer(u *url.URL, uri, socket string) dialFunc {
	args := []string{"-T", "-e", "none", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=15"}
	if u.Port() != "" {
		args = append(args, "-p", u.Port())
	}
	if name := u.User.Username(); name != "" {
		args = append(args, "-l", name)
	}
	args = append(args, "--", u.Hostname(), farCommand(uri, socket))
	return func(context.Context) (net.Conn, error) { return startSSH(args) }
}

// farCommand is a POSIX shell command that joins its own input and output to the daemon.
func farCommand(uri, socket string) string {
	nc := func(path string) string {
		return fmt.Sprintf("if nc -h 2>&1 | grep -q -e '-N'; then exec nc -N -U %s; else exec nc -U %s; fi", path, path)
	}
	switch {
	case socket != "":
		return nc(quote(socket))
	case strings.HasSuffix(uri, "/session"):
		return "exec virt-ssh-helper " + quote(uri)
	}
	return "if command -v virt-ssh-helper >/dev/null; then exec virt-ssh-helper " + quote(uri) + "; fi; " + nc("/run/libvirt/libvirt-sock")
}

// quote makes one word of the POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// sshConn is a connection through an ssh process.
type sshConn struct {
	net.Conn
	cmd   *exec.Cmd
	said  tail
	ended chan struct{}
}

func startSSH(args []string) (net.Conn, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("libvirt: connect: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ssh"), os.NewFile(uintptr(fds[1]), "ssh")
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		return nil, fmt.Errorf("libvirt: connect: %w", err)
	}
	c := &sshConn{Conn: conn, cmd: exec.Command("ssh", args...), ended: make(chan struct{})}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = theirs, theirs, &c.said
	c.cmd.WaitDelay = time.Second
	if err := c.cmd.Start(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("libvirt: connect: %w", err)
	}
	go func() {
		defer close(c.ended)
		c.cmd.Wait()
	}()
	return c, nil
}

// Close implements net.Conn: it ends the process and waits for it.
func (c *sshConn) Close() error {
	err := c.Conn.Close()
	c.cmd.Process.Kill()
	<-c.ended
	return err
}

// why adds to an error what ssh said of it.
func why(conn net.Conn, err error) error {
	if e, ok := conn.(*streamConn); ok {
		conn = e.Conn
	}
	c, ok := conn.(*sshConn)
	if !ok {
		return err
	}
	if said := c.said.String(); said != "" {
		return fmt.Errorf("%w (ssh: %s)", err, said)
	}
	return err
}

// tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

var _ io.Writer = (*tail)(nil)

const tailBytes = 1000

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	t.b = t.b[max(0, len(t.b)-tailBytes):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(strings.Fields(string(t.b)), " ")
}
