package libvirt

import (
	"os/exec"
	"strings"
	"testing"

	"ingot/hypervisor"
	"ingot/hypervisor/drivertest"
)

// throughSSHD is for a driver that reaches the daemon through a real sshd.
func throughSSHD(t *testing.T) (drivertest.SSHD, Config) {
	t.Helper()
	if _, err := exec.LookPath("nc"); err != nil {
		t.Skip("needs nc (Debian: netcat-openbsd)")
	}
	s, c := drivertest.NewSSHD(t, ""), needDaemon(t).config("sshd")
	s.FirstInPath(t)
	c.URL = "qemu+ssh://" + s.User + "@far/session"
	return s, c
}

// TestSSHD goes through a real sshd: an image is sent, and the check-up is content.
func TestSSHD(t *testing.T) {
	_, c := throughSSHD(t)
	d, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	worksFar(t, d)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// A host key that is not the known one is told in ssh's words, and so is a key that sshd
// does not know.
func TestSSHDRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		spoil     func(drivertest.SSHD)
		said, try string
	}{
		"host key": {func(s drivertest.SSHD) { s.Write(t, "known", "far "+s.Read(t, "other.pub"), 0o600) }, "Host key verification failed", "log in once by hand"},
		"key":      {func(s drivertest.SSHD) { s.Write(t, "key", s.Read(t, "other"), 0o600) }, "Permission denied (publickey", "ssh-copy-id"},
	} {
		s, c := throughSSHD(t)
		test.spoil(s)
		found, err := Diagnose(t.Context(), c)
		if err != nil || len(found) != 1 || found[0].Level != hypervisor.Failed || !strings.Contains(found[0].Detail, test.said) || !strings.Contains(found[0].Try, test.try) {
			t.Errorf("%s: found %+v, %v", name, found, err)
		}
	}
}
