package libvirt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"ingot/hypervisor/qemu"
)

// keeper is a shell that outlives the test's process, however that ends, and then ends all
// that belongs to a private daemon and removes its folder. A signal at the parent's death
// would not do: guests are libvirtd's children, and some tests kill libvirtd alone.
type keeper struct {
	cmd *exec.Cmd
	// alive is the keeper's standard input, which ends with this process.
	alive io.Closer
}

// keeperScript takes the folder; what belongs to the daemon names it, see children. Twice,
// for what libvirtd started meanwhile.
const keeperScript = `read -r _
for pass in 1 2; do
  for p in /proc/[0-9]*; do
    [ "$p" = /proc/$$ ] || ! grep -qs "$1/" "$p/cmdline" "$p/environ" || kill -9 "${p#/proc/}" 2>/dev/null
  done
done
rm -rf "$1"`

func newKeeper(dir string) (*keeper, error) {
	k := &keeper{cmd: exec.Command("sh", "-c", keeperScript, "sh", dir)}
	k.cmd.Dir = "/"
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // what kills the test's group leaves it alone
	var err error
	if k.alive, err = k.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return k, k.cmd.Start()
}

// end has it do its work, and waits.
func (k *keeper) end() error { return errors.Join(k.alive.Close(), k.cmd.Wait()) }

// TestKilled kills a test's process that has a private daemon: nothing of it stays.
func TestKilled(t *testing.T) {
	needPrograms(t)
	if os.Getenv("LIBVIRT_TEST_KILLED") != "" {
		d := ownDaemon(t)
		fmt.Printf("daemon %d %d %s\n", d.cmd.Process.Pid, d.keeper.cmd.Process.Pid, d.dir)
		<-d.ended // never: this process is killed
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.v")
	cmd.Env = append(os.Environ(), "LIBVIRT_TEST_KILLED=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids [2]int
	var dir string
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "daemon ") {
			if _, err := fmt.Sscanf(lines.Text(), "daemon %d %d %s", &pids[0], &pids[1], &dir); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if dir == "" {
		t.Fatal("the other process started no daemon")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, pid := range pids {
		if err := qemu.WaitPID(ctx, pid); err != nil {
			t.Errorf("process %d outlives the test that started it: %v", pid, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", dir, err)
	}
}
