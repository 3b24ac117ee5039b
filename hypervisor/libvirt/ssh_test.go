package libvirt

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/hypervisor"
)

// fakeSSH puts an ssh first in the PATH that runs the far command here and notes what it
// was called with.
func fakeSSH(t *testing.T, script string) (called string) {
	t.Helper()
	dir := t.TempDir()
	called = filepath.Join(dir, "called")
	text := "#!/bin/sh\necho \"$@\" > " + called + "\n" + script
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return called
}

// farSide runs what a real ssh would run over there, as the daemon's user: for root,
// virt-ssh-helper looks for the system's daemon.
const farSide = `while [ "$1" != -- ]; do shift; done; shift 2
[ "$(id -u)" = 0 ] || exec sh -c "$*"
exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "$*"`

// worksFar sends an image, and the check-up is content.
func worksFar(t *testing.T, d *Driver) {
	t.Helper()
	image := needGolden(t)
	if err := d.EnsureImage(t.Context(), image, nil); err != nil {
		t.Error(err)
	}
	clear(t, d, image)
	if findings, err := d.Check(t.Context()); err != nil || findings[0].Level != hypervisor.OK {
		t.Errorf("check: %+v, %v", findings, err)
	}
}

func TestSSH(t *testing.T) {
	host := needDaemon(t)
	for _, program := range []string{"virt-ssh-helper", "nc"} {
		t.Run(program, func(t *testing.T) {
			if _, err := exec.LookPath(program); err != nil {
				t.Skipf("needs %s (Debian: libvirt-daemon, netcat-openbsd)", program)
			}
			c := host.config("ssh")
			c.URL = "qemu+ssh://me@there:2222/session"
			if program == "virt-ssh-helper" {
				c.Socket = ""
				for _, e := range host.env {
					name, value, _ := strings.Cut(e, "=")
					t.Setenv(name, value)
				}
			}
			called := fakeSSH(t, farSide)
			d, err := Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			worksFar(t, d)
			args, err := os.ReadFile(called)
			for _, want := range []string{"BatchMode=yes", "-p 2222", "-l me", "-- there"} {
				if !strings.Contains(string(args), want) {
					t.Errorf("ssh was called with %q, %v; want %q in it", args, err, want)
				}
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSSHEnds: after the far side has gone, the old ssh is waited for and a new one started.
func TestSSHEnds(t *testing.T) {
	host := needDaemon(t)
	if _, err := exec.LookPath("nc"); err != nil {
		t.Skip("needs nc (Debian: netcat-openbsd)")
	}
	c := host.config("ssh")
	c.URL = "qemu+ssh://there/session"
	fakeSSH(t, farSide)
	d, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s, err := d.link.session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first := s.conn.Conn.(*sshConn)
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.conn.gone
	if _, err := d.List(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the old connection is still open: %v", err)
	}
	if !within(first.ended, 10*time.Second) {
		t.Error("nobody waited for the old ssh")
	}
}

// TestSSHSays: what ssh says of a failure is told, and a silent one ends with the context.
func TestSSHSays(t *testing.T) {
	c := Config{URL: "qemu+ssh://there/system", Owner: "ssh"}
	fakeSSH(t, "echo 'me@there: Permission denied (publickey).' >&2; exit 255")
	if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "Permission denied (publickey)") {
		t.Errorf("open: %v", err)
	}
	fakeSSH(t, "exec sleep 1000")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := Open(ctx, c); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
		t.Errorf("open: %v after %v", err, time.Since(began))
	}
}

func TestFarCommand(t *testing.T) {
	for _, test := range [][3]string{
		{"qemu:///system", "", "virt-ssh-helper 'qemu:///system'; fi; if nc"},
		{"qemu:///session", "", "exec virt-ssh-helper 'qemu:///session'"},
		{"qemu:///system", "/it's", `nc -N -U '/it'\''s'`},
	} {
		got := farCommand(test[0], test[1])
		if !strings.Contains(got, test[2]) {
			t.Errorf("%q: %s", test[:2], got)
		}
		if out, err := exec.Command("sh", "-n", "-c", got).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", got, err, out)
		}
	}
}
