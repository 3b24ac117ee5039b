package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// nobody is who a private libvirtd runs as when the tests run as root.
const nobody = 65534

// libvirtdCommand: libvirtd. Starts one for one user, in a process namespace of its own,
// whose guests end with it; sets LIBVIRT_URL and HOME.
func libvirtdCommand(ts *testscript.TestScript, _ bool, _ []string) {
	dir, err := os.MkdirTemp("", "lv-") // sockets lie below it, and their paths are short
	ts.Check(err)
	ts.Defer(func() { ts.Check(os.RemoveAll(dir)) })
	// The shell is the first process, which takes care of ended ones (without that libvirtd
	// waits long for guests that it has ended), and ends with its standard input.
	args, daemon := []string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc"}, "libvirtd --timeout 0"
	if os.Getuid() == 0 {
		daemon = fmt.Sprintf("setpriv --reuid=%d --regid=%d --clear-groups %s", nobody, nobody, daemon)
		ts.Check(os.Chown(dir, nobody, nobody))
	} else {
		args = append(args, "--user", "--map-current-user")
	}
	cmd := exec.Command("unshare", append(args, "sh", "-c", "exec 3<&0; "+daemon+" & d=$!; (read -r _ <&3 || kill $d) & wait $d")...)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + dir, "XDG_RUNTIME_DIR=" + filepath.Join(dir, "run")}
	attached, err := cmd.StdinPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		attached.Close() // its shell ends, and all with it
		_ = cmd.Wait()   // however libvirtd took it
	})
	socket := filepath.Join(dir, "run/libvirt/libvirt-sock")
	if !until(func() bool {
		conn, err := net.Dial("unix", socket)
		return err == nil && conn.Close() == nil
	}) {
		ts.Fatalf("libvirtd did not open its socket %s", socket)
	}
	ts.Setenv("LIBVIRT_URL", "qemu:///session?socket="+socket)
	ts.Setenv("HOME", dir) // images go where this user's libvirt has them
}
