package guestrun

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ingot/hypervisor/qemu"
)

// TestKilled kills a program that runs a guest: QEMU ends with it, and the next machine in
// the same folder removes what it left.
func TestKilled(t *testing.T) {
	m := sector(t, quiet)
	if dir := os.Getenv("GUESTRUN_TEST_DIR"); dir != "" {
		m.Dir = dir
		g := mustStart(t, t.Context(), m)
		fmt.Printf("pid %d\n", g.process.PID())
		<-g.Failed() // never: it is killed
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.v")
	cmd.Env = append(os.Environ(), "GUESTRUN_TEST_DIR="+m.Dir, "TMPDIR="+t.TempDir()) // what it leaves goes with ours
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "pid "); ok {
			pid, _ = strconv.Atoi(text)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := qemu.WaitPID(ctx, pid); err != nil || pid == 0 {
		t.Errorf("QEMU (process %d) outlives the program that started it: %v", pid, err)
	}
	if left, err := filepath.Glob(filepath.Join(m.Dir, scratchPrefix+"*")); err != nil || len(left) != 1 {
		t.Errorf("a killed program left %v, %v; want one folder", left, err)
	}
	mustStart(t, t.Context(), m) // whose end checks that the folder is empty
}
