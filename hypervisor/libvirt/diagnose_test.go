package libvirt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ingot/hypervisor"
	"ingot/inventory"
)

// TestDiagnose: where a host can't be opened there is one finding, with what to do; where
// it can, there are those of Check.
func TestDiagnose(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	certificates(t, dir)
	for name, test := range map[string]struct {
		url, ssh, what, detail, try string
	}{
		"no URL":         {"qemu://kvm1/nothing", "", "address", "want qemu:///system", "correct it"},
		"no socket":      {"qemu:///system?socket=" + dir + "/none", "", "socket", "no such file", "apt-get install libvirt-daemon-system"},
		"nobody's":       {"qemu:///session?socket=" + dir + "/none", "", "socket", "no such file", "libvirtd --daemon"},
		"stale socket":   {"qemu:///system?socket=" + stale, "", "socket", "connection refused", "systemctl start libvirtd"},
		"no key":         {"qemu+ssh://me@there/system", "me@there: Permission denied (publickey).", "SSH", "Permission denied (publickey)", "authorized_keys"},
		"unknown host":   {"qemu+ssh://there/system", "Host key verification failed.", "SSH", "Host key", "log in once by hand"},
		"no name":        {"qemu+ssh://there/system", "ssh: Could not resolve hostname there: Name or service not known", "SSH", "resolve", "look at the name"},
		"no libvirt":     {"qemu+ssh://there/system", "sh: 1: nc: not found", "SSH", "nc: not found", "apt-get install libvirt-daemon-system"},
		"not in group":   {"qemu+ssh://there/system", "nc: unix connect failed: Permission denied", "SSH", "Permission denied", "usermod -aG libvirt"},
		"said nothing":   {"qemu+ssh://there/system", "", "SSH", "open qemu:///system", "try by hand"},
		"no certificate": {"qemu+tls://127.0.0.1:1/system?pkipath=" + dir + "/none", "", "TLS", "clientcert.pem", "/etc/pki/libvirt"},
		"nobody there":   {"qemu+tls://127.0.0.1:1/system?pkipath=" + dir, "", "TLS", "connection refused", "TCP 16514"},
	} {
		t.Run(name, func(t *testing.T) {
			fakeSSH(t, "echo '"+test.ssh+"' >&2; exit 255")
			found, err := Diagnose(t.Context(), Config{URL: test.url, Owner: "diagnose"})
			if err != nil || len(found) != 1 {
				t.Fatalf("got %+v, %v; want one finding", found, err)
			}
			f := found[0]
			if f.What != test.what || f.Level != hypervisor.Failed || !strings.Contains(f.Detail, test.detail) || !strings.Contains(f.Try, test.try) {
				t.Errorf("got %+v, want %s: %q, %q", f, test.what, test.detail, test.try)
			}
		})
	}
}

func TestDiagnoseWell(t *testing.T) {
	found, err := Diagnose(t.Context(), needDaemon(t).config("diagnose"))
	if err != nil || len(found) < 6 || found[0].What != "connection" || found[0].Level != hypervisor.OK {
		t.Errorf("got %+v, %v", found, err)
	}
}

// TestObstacle has what can't be brought about here.
func TestObstacle(t *testing.T) {
	tlsError := func(err error) error { return fmt.Errorf("libvirt: connect to kvm1: %w", err) }
	for want, test := range map[string]struct {
		by  string
		err error
	}{
		"usermod -aG libvirt":       {viaSocket, &fs.PathError{Op: "connect", Path: "/run/libvirt/libvirt-sock", Err: syscall.EACCES}},
		"and log in again":          {viaSSH, fmt.Errorf("authentication: %w", inventory.ErrDenied)},
		"journalctl":                {viaSocket, errors.New("it is in a bad mood")},
		"nobody answered":           {viaTLS, context.DeadlineExceeded},
		"of the CA in cacert.pem":   {viaTLS, tlsError(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}})},
		"refuses our certificate":   {viaTLS, tlsError(errors.New("server verification (of our certificate or IP address) failed"))},
		"libvirt that answers":      {viaTLS, tlsError(errors.New("first record does not look like a TLS handshake"))},
		"apt-get install openssh-c": {viaSSH, errors.Join(errors.New("libvirt: connect"), missingProgram())},
	} {
		if got := (place{by: test.by}).obstacle(test.err); got.Level != hypervisor.Failed || !strings.Contains(got.Try, want) {
			t.Errorf("%s, %v: got %+v, want %q", test.by, test.err, got, want)
		}
	}
}

// missingProgram is the error of starting one that is not there.
func missingProgram() error {
	path := os.Getenv("PATH")
	defer os.Setenv("PATH", path)
	os.Setenv("PATH", "/nonexistent")
	_, err := startSSH(nil)
	return err
}

// TestDiagnoseEnds: a host that says nothing is told in time.
func TestDiagnoseEnds(t *testing.T) {
	fakeSSH(t, "exec sleep 1000")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	found, err := Diagnose(ctx, Config{URL: "qemu+ssh://there/system", Owner: "diagnose"})
	if !errors.Is(err, context.DeadlineExceeded) || len(found) != 1 || !strings.Contains(found[0].Try, "nobody answered in time") {
		t.Errorf("got %+v, %v", found, err)
	}
}
