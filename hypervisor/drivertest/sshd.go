package drivertest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// SSHD is a far computer named "far" with a real sshd, which ssh starts itself for each
// connection (ProxyCommand): it opens no port. It knows the key "key"; "other" it does not.
type SSHD struct {
	// Dir has the files: key, other, known, sshd_config, ssh_config, log. Programs in its
	// bin come first in the far PATH.
	Dir string
	// User may log in.
	User string
}

// sshdPath is where Debian has it; it wants to be called by its whole path.
const sshdPath = "/usr/sbin/sshd"

// NewSSHD makes one; what is in change comes first in ssh's configuration, where DIR stands
// for Dir. It skips where there is no sshd.
func NewSSHD(t *testing.T, change string) SSHD {
	t.Helper()
	for _, program := range []string{sshdPath, "ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s (Debian: openssh-server, openssh-client)", program)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if me.Uid == "0" { // sshd wants it for its unprivileged part
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatalf("sshd needs /run/sshd: %v", err)
		}
	}
	s := SSHD{Dir: t.TempDir(), User: me.Username}
	for _, key := range []string{"host", "key", "other"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.Path(key)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	s.configure(t, change)
	return s
}

func (s SSHD) configure(t *testing.T, change string) {
	t.Helper()
	s.Write(t, "known", "far "+s.Read(t, "host.pub"), 0o600)
	s.Write(t, "sshd_config", "HostKey DIR/host\nAuthorizedKeysFile DIR/key.pub\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"+
		"PermitRootLogin yes\nStrictModes no\nUsePAM no\nSetEnv PATH=DIR/bin:/usr/bin:/bin\n", 0o600)
	s.Write(t, "ssh_config", change+"\nHost far\nProxyCommand "+sshdPath+" -i -f DIR/sshd_config -E DIR/log\nIdentityFile DIR/key\nIdentitiesOnly yes\n"+
		"IdentityAgent none\nUserKnownHostsFile DIR/known\nGlobalKnownHostsFile none\nUpdateHostKeys no\n", 0o600)
}

// Path of a file.
func (s SSHD) Path(name string) string { return filepath.Join(s.Dir, name) }

// Read reads a file.
func (s SSHD) Read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(s.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Write writes a file, with Dir for DIR.
func (s SSHD) Write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.Path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Path(name), []byte(strings.ReplaceAll(text, "DIR", s.Dir)), mode); err != nil {
		t.Fatal(err)
	}
}

// FirstInPath puts an ssh first in this process's PATH that has the configuration.
func (s SSHD) FirstInPath(t *testing.T) {
	t.Helper()
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "near/ssh", fmt.Sprintf("#!/bin/sh\nexec %s -F DIR/ssh_config \"$@\"\n", ssh), 0o755)
	t.Setenv("PATH", s.Path("near")+":"+os.Getenv("PATH"))
}
