package powershell_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"ingot/hypervisor"
	"ingot/hypervisor/drivertest"
	"ingot/hypervisor/hyperv/powershell"
	"ingot/inventory"
)

// far is a computer with a real sshd, and a powershell.exe that is this test program.
type far struct{ drivertest.SSHD }

// reach makes one; what is in change comes first in ssh's configuration.
func reach(t *testing.T, change string) far {
	t.Helper()
	f := far{drivertest.NewSSHD(t, change)}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f.Write(t, "bin/powershell.exe", "#!/bin/sh\nINGOT_FAKE_POWERSHELL=1 GORACE=atexit_sleep_ms=0 exec '"+self+"' \"$@\"\n", 0o755)
	return f
}

func (f far) ssh() powershell.SSHConfig {
	return powershell.WithConfigFile(powershell.SSHConfig{Host: "far", User: f.User}, f.Path("ssh_config"))
}

func (f far) open(t *testing.T) *powershell.SSH {
	t.Helper()
	s, err := powershell.OverSSH(f.ssh())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		if t.Failed() {
			log, _ := os.ReadFile(f.Path("log")) // for a person
			t.Logf("sshd: %s", log)
		}
	})
	return s
}

func TestSSH(t *testing.T) {
	t.Parallel()
	s := reach(t, "").open(t)
	var all sync.WaitGroup
	for _, request := range []string{`{"a":"ä\"'` + "`" + `$x"}`, `"` + strings.Repeat("x", 500_000) + `"`, `3`, `4`} {
		all.Go(func() {
			if err := echoes(t.Context(), s, request); err != nil {
				t.Error(err)
			}
		})
	}
	all.Go(func() {
		var script *powershell.Error
		if _, err := s.Run(t.Context(), fail, nil); !errors.As(err, &script) || script.HResult != 0x80041002 {
			t.Errorf("a script that fails: %v", err)
		}
	})
	all.Go(func() {
		if _, err := s.Run(t.Context(), died, nil); err == nil || !strings.Contains(err.Error(), "exit code 3: powershell.exe : Stopped on the way.") {
			t.Errorf("a script that dies: %v", err)
		}
	})
	all.Wait()
}

func TestSSHCancel(t *testing.T) {
	t.Parallel()
	s := reach(t, "").open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := s.Run(ctx, forget, nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 3*time.Second {
		t.Errorf("got %v after %s", err, time.Since(began))
	}
	done := make(chan error)
	go func() { _, err := s.Run(t.Context(), forget, nil); done <- err }()
	s.Close()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("under Close: %v", err)
	}
}

// Each step of first contact that fails says what to do, and is of the right class.
func TestSSHContact(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change string
		spoil  func(*testing.T, far)
		steps  int
		want   string
		class  error
	}{
		"all well":          {"", nil, 2, "version 5.1", nil},
		"unknown host key":  {"UserKnownHostsFile DIR/none", nil, 1, "connect once by hand: ssh far", inventory.ErrDenied},
		"another host key":  {"", func(t *testing.T, f far) { f.Write(t, "known", "far "+f.Read(t, "other.pub"), 0o600) }, 1, "unknown or changed", inventory.ErrDenied},
		"another key":       {"IdentityFile DIR/other", func(t *testing.T, f far) { f.Write(t, "key", f.Read(t, "other"), 0o600) }, 1, "administrators_authorized_keys", inventory.ErrDenied},
		"no such name":      {"ProxyCommand none\nHostname host.invalid", nil, 1, "look at the name", inventory.ErrBusy},
		"nobody there":      {"ProxyCommand none\nHostname 127.0.0.1\nPort 1", nil, 1, "Add-WindowsCapability", inventory.ErrBusy},
		"no PowerShell":     {"", func(_ *testing.T, f far) { os.Remove(f.Path("bin/powershell.exe")) }, 2, "no powershell.exe in the PATH", inventory.ErrUnsupported},
		"bad configuration": {"Nonsense yes", nil, 1, "look at ssh's configuration", inventory.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := reach(t, test.change)
			if test.spoil != nil {
				test.spoil(t, f)
			}
			found := f.ssh().Contact(t.Context())
			last := found[len(found)-1]
			if len(found) != test.steps || !strings.Contains(last.Detail, test.want) || (last.Level == hypervisor.Failed) != (test.class != nil) || (last.Try == "") != (test.class == nil) {
				t.Errorf("got %+v", found)
			}
			if err := echoes(t.Context(), f.open(t), `1`); test.class != nil && (!errors.Is(err, test.class) || !errors.Is(err, powershell.ErrNotStarted)) || test.class == nil && err != nil {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSSHConfig(t *testing.T) {
	for _, c := range []powershell.SSHConfig{{}, {Host: "-oProxyCommand=touch /x"}, {Host: "h", Port: 70000}, {Host: "h", Port: -1}} {
		if _, err := powershell.OverSSH(c); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%+v: %v", c, err)
		}
		if found := c.Contact(t.Context()); len(found) != 1 || found[0].What != "address" {
			t.Errorf("%+v: %+v", c, found)
		}
	}
	t.Setenv("PATH", t.TempDir())
	s, err := powershell.OverSSH(powershell.SSHConfig{Host: "h"})
	if err != nil {
		t.Fatal(err)
	}
	if err := echoes(t.Context(), s, `1`); !errors.Is(err, inventory.ErrUnsupported) || !strings.Contains(err.Error(), "openssh-client") {
		t.Errorf("no ssh: %v", err)
	}
}
