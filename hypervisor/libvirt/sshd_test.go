package libvirt

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"ingot/hypervisor"
)

// realSSH is the system's ssh with a configuration in which the computer "there" is a real
// sshd on this one, started by ssh itself for each connection, that knows one key.
func realSSH(t *testing.T, identity string) (user string) {
	t.Helper()
	dir := t.TempDir()
	for _, program := range []string{"/usr/sbin/sshd", "ssh", "ssh-keygen", "nc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s (Debian: openssh-server, openssh-client, netcat-openbsd)", program)
		}
	}
	for _, key := range []string{"host", "key", "other"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	host, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"known": "there " + string(host),
		"sshd_config": fmt.Sprintf("HostKey %[1]s/host\nAuthorizedKeysFile %[1]s/key.pub\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"+
			"PermitRootLogin yes\nStrictModes no\nUsePAM no\n", dir),
		"ssh_config": fmt.Sprintf("Host there\nProxyCommand /usr/sbin/sshd -i -f %[1]s/sshd_config -E %[1]s/log\nIdentityFile %[1]s/%[2]s\n"+
			"IdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile %[1]s/known\nGlobalKnownHostsFile none\nUpdateHostKeys no\n", dir, identity),
		"bin/ssh": fmt.Sprintf("#!/bin/sh\nexec %s -F %s/ssh_config \"$@\"\n", ssh, dir),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	return me(t)
}

func me(t *testing.T) string {
	t.Helper()
	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if who.Uid == "0" { // sshd wants it for its unprivileged part
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Skipf("sshd needs /run/sshd: %v", err)
		}
	}
	return who.Username
}

// TestSSHD goes through a real sshd: an image is sent, and the check-up is content. A key
// that it does not know is told in ssh's words.
func TestSSHD(t *testing.T) {
	host := needDaemon(t)
	c := host.config("sshd")
	c.URL = "qemu+ssh://" + realSSH(t, "key") + "@there/session"
	d, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	image := needGolden(t)
	if err := d.EnsureImage(t.Context(), image, nil); err != nil {
		t.Error(err)
	}
	clear(t, d, image)
	if findings, err := d.Check(t.Context()); err != nil || findings[0].Level != hypervisor.OK {
		t.Errorf("check: %+v, %v", findings, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestSSHDRefuses(t *testing.T) {
	host := needDaemon(t)
	c := host.config("sshd")
	c.URL = "qemu+ssh://" + realSSH(t, "other") + "@there/session"
	found, err := Diagnose(t.Context(), c)
	if err != nil || len(found) != 1 || found[0].Level != hypervisor.Failed || !strings.Contains(found[0].Detail, "Permission denied (publickey)") || !strings.Contains(found[0].Try, "ssh-copy-id") {
		t.Errorf("found %+v, %v", found, err)
	}
}
