package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ingot/hypervisor/qemu"
)

// nobody is who the daemon runs as when the tests run as root: as root, libvirtd would be
// the system's daemon, with its sockets, networks and AppArmor.
const nobody = 65534

// daemon is a private libvirtd in session mode: everything of it is below one folder, it
// has no networks of its own and opens no port.
type daemon struct {
	dir, socket string
	env, args   []string
	uid         int
	cmd         *exec.Cmd
	ended       chan struct{}
	log         *os.File
	keeper      *keeper
}

// shared is the daemon of most tests; TestMain ends it.
var shared struct {
	sync.Once
	*daemon
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.daemon != nil {
		if err := shared.daemon.remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// needDaemon returns the shared daemon, or skips.
func needDaemon(t testing.TB) *daemon {
	t.Helper()
	needPrograms(t)
	shared.Do(func() { shared.daemon, shared.err = newDaemon(t.Context()) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.daemon
}

// ownDaemon is a daemon for one test, which may do as it likes to it.
func ownDaemon(t *testing.T) *daemon {
	t.Helper()
	needPrograms(t)
	d, err := newDaemon(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.remove(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func needPrograms(t testing.TB) {
	t.Helper()
	for _, p := range [][2]string{{"libvirtd", "libvirt-daemon and libvirt-daemon-driver-qemu"}, {"qemu-system-x86_64", "qemu-system-x86"}, {"qemu-img", "qemu-utils"}} {
		if _, err := exec.LookPath(p[0]); err != nil {
			t.Skipf("needs %s (Debian: %s)", p[0], p[1])
		}
	}
}

func newDaemon(ctx context.Context) (*daemon, error) {
	// Short, and not t.TempDir: libvirt makes sockets far below it, and a socket has 107
	// bytes for its path.
	dir, err := os.MkdirTemp("", "lv-")
	if err != nil {
		return nil, err
	}
	d := &daemon{dir: dir, socket: filepath.Join(dir, "run/libvirt/libvirt-sock"), args: []string{"libvirtd", "--timeout", "0"}, uid: os.Getuid()}
	if d.uid == 0 {
		d.uid = nobody
	}
	d.env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	for name, sub := range map[string]string{"HOME": "home", "XDG_RUNTIME_DIR": "run", "XDG_CONFIG_HOME": "c", "XDG_DATA_HOME": "data", "XDG_CACHE_HOME": "cache"} {
		path := filepath.Join(dir, sub)
		d.env = append(d.env, name+"="+path)
		if err := errors.Join(os.Mkdir(path, 0o700), d.give(path)); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(os.Chmod(dir, 0o755), d.give(dir)); err != nil {
		return nil, err
	}
	return d, d.start(ctx)
}

// give gives a file to the daemon's user.
func (d *daemon) give(path string) error {
	return os.Chown(path, d.uid, -1)
}

// start starts libvirtd and waits for its socket.
func (d *daemon) start(ctx context.Context) error {
	os.Remove(d.socket)
	var err error
	if d.keeper == nil {
		if d.keeper, err = newKeeper(d.dir); err != nil {
			return err
		}
	}
	if d.log, err = os.OpenFile(filepath.Join(d.dir, "libvirtd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	d.cmd = exec.Command(d.args[0], d.args[1:]...)
	d.cmd.Env, d.cmd.Dir = d.env, d.dir
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if d.uid != os.Getuid() {
		d.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(d.uid), Gid: uint32(d.uid)}
	}
	if err := d.cmd.Start(); err != nil {
		return err
	}
	d.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		defer close(ended)
		cmd.Wait()
	}(d.cmd, d.ended)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if conn, err := unixDialer(true, d.socket)(ctx); err == nil {
			tick.Stop()
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-d.ended:
			return fmt.Errorf("libvirtd ended: %s", d.logTail())
		case <-ctx.Done():
			return fmt.Errorf("libvirtd did not open its socket: %s", d.logTail())
		}
	}
}

func (d *daemon) logTail() string {
	b, _ := os.ReadFile(d.log.Name())
	return string(b[max(0, len(b)-2000):])
}

func (d *daemon) signal(s os.Signal) error { return d.cmd.Process.Signal(s) }

// kill ends libvirtd alone, at once. Its guests go on.
func (d *daemon) kill() {
	d.signal(syscall.SIGKILL)
	<-d.ended
	d.log.Close()
}

// remove ends the daemon and all that it started, and deletes its files.
func (d *daemon) remove() error {
	d.kill()
	var errs []error
	for _, pid := range d.children() {
		if err := syscall.Kill(pid, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) { // it may end by itself
			errs = append(errs, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, pid := range d.children() {
		_ = qemu.WaitPID(ctx, pid) // what stays is told next
	}
	if left := d.children(); len(left) > 0 {
		errs = append(errs, fmt.Errorf("processes %v of the private libvirtd did not end", left))
	}
	return errors.Join(append(errs, d.keeper.end(), os.RemoveAll(d.dir))...)
}

// children are the processes with the daemon's folder in their command line or environment:
// QEMU, swtpm, virtlogd.
func (d *daemon) children() (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*")
	for _, file := range files {
		line, err1 := os.ReadFile(filepath.Join(file, "cmdline"))
		env, err2 := os.ReadFile(filepath.Join(file, "environ"))
		pid, atoi := strconv.Atoi(filepath.Base(file))
		if errors.Join(err1, err2, atoi) == nil && pid != os.Getpid() && strings.Contains(string(line)+string(env), d.dir+"/") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// files are the names below a folder of the daemon's.
func (d *daemon) files(t testing.TB, sub string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(d.dir, sub), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, strings.TrimPrefix(path, d.dir+"/"))
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
