package dhcp

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inNamespace runs the calling test again in a process with a network namespace of its
// own, and reports whether this is that process. It skips when it can't.
func inNamespace(t *testing.T, tools ...string) bool {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	for _, tool := range append(tools, "ip", "nsenter") {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: %v", tool, err)
		}
	}
	if os.Getenv("DHCP_TEST_NAMESPACE") != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=100s")
	cmd.Env = append(os.Environ(), "DHCP_TEST_NAMESPACE=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("in the namespace: %v", err)
	}
	return false
}

// host is another network namespace.
type host struct {
	t   *testing.T
	pid string
}

func newHost(t *testing.T) *host {
	t.Helper()
	cmd := exec.Command("cat") // lives until its standard input is closed
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	h := &host{t, fmt.Sprint(cmd.Process.Pid)}
	h.run("ip", "link", "set", "lo", "up")
	return h
}

func (h *host) command(args ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"-t", h.pid, "-n"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (h *host) run(args ...string) string {
	h.t.Helper()
	out, err := h.command(args...).CombinedOutput()
	if err != nil {
		h.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// start runs a daemon until the test ends and waits for a line that holds ready.
func (h *host) start(ready string, args ...string) *exec.Cmd {
	h.t.Helper()
	return startDaemon(h.t, h.command(args...), ready)
}

func startDaemon(t *testing.T, cmd *exec.Cmd, ready string) *exec.Cmd {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	up, ended := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			t.Logf("%s: %s", filepath.Base(cmd.Args[len(cmd.Args)-1]), lines.Text())
			if strings.Contains(lines.Text(), ready) {
				select {
				case up <- true:
				default:
				}
			}
		}
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended; _ = cmd.Wait() })
	select {
	case <-up:
	case <-ended:
		t.Fatalf("%v ended early", cmd.Args)
	case <-time.After(20 * time.Second):
		t.Fatalf("%v is not ready", cmd.Args)
	}
	return cmd
}

func sh(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// cable joins this namespace's interface name to the host's interface eth0.
func (h *host) cable(name, peer string) {
	h.t.Helper()
	sh(h.t, "ip", "link", "add", name, "type", "veth", "peer", "name", peer, "netns", h.pid)
	sh(h.t, "ip", "link", "set", name, "up")
	h.run("ip", "link", "set", peer, "up")
}

// script is what a DHCP client runs: it writes its environment, one line per variable,
// to the file returned, and sets the address.
func script(t *testing.T) (path, result string) {
	dir := t.TempDir()
	path, result = filepath.Join(dir, "script"), filepath.Join(dir, "result")
	text := `#!/bin/sh
case "$reason$1" in
BOUND|RENEW|REBIND|REBOOT|bound|renew)
	[ -n "$new_ip_address" ] && ip=$new_ip_address && interface=$interface
	ip addr replace "$ip/24" dev "$interface"
	{ echo "ip=$ip"; env; } > ` + result + `.tmp; mv ` + result + `.tmp ` + result + `;;
PREINIT|deconfig) ip link set "$interface" up;;
esac
exit 0
`
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, result
}

// variables reads the result of script.
func variables(t *testing.T, result string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(result)
	if err != nil {
		t.Fatalf("the client was not bound: %v", err)
	}
	vars := map[string]string{}
	for line := range strings.Lines(string(text)) {
		k, v, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		vars[k] = v
	}
	return vars
}
