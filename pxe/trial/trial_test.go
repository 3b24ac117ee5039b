package trial

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

// TestListen: what can't go on is told once, to the end of its line, however the console
// brings it.
func TestListen(t *testing.T) {
	for text, want := range map[string]string{
		"[    1.2] Kernel panic - not syncing: No working init found.  Try\r\n[ 1.3] CPU: 0\r\n": "Kernel panic - not syncing: No working init found. Try",
		"\x1b[2J\x1b[1;1Hgrub rescue> \r\n":                          "grub rescue>",
		"error: bad shim signature.\r\nKernel panic - not syncing\n": "bad shim signature.",
		"Ingot: m boots agent (unknown machine)\r\n":                 "",
	} {
		for _, size := range []int{1, 7, 4096} {
			r, w := io.Pipe()
			l := listen(r)
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				if _, err := io.WriteString(w, rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			w.Close()
			l.wait()
			got := ""
			select {
			case got = <-l.dead:
			default:
			}
			if got != want {
				t.Errorf("%q in pieces of %d: %q, want %q", text, size, got, want)
			}
			if l.tail() != text {
				t.Errorf("tail %q, want %q", l.tail(), text)
			}
		}
	}
}

// TestPlainEnvironment: nothing that configures a server reaches the test's.
func TestPlainEnvironment(t *testing.T) {
	got := plainEnvironment([]string{"PATH=/bin", "INGOT_DATABASE=postgres://production", "INGOT_TOKEN=x", "HOME=/root"})
	if diff := cmp.Diff([]string{"PATH=/bin", "HOME=/root"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLook(t *testing.T) {
	for name, tt := range map[string]struct {
		payload inventory.Payload
		done    bool
		problem string
	}{
		"facts":       {payload: inventory.FactsRead{Summary: "Virtual, 2.06 GB memory, 2 disks, 1 NICs"}, done: true},
		"no disks":    {payload: inventory.FactsRead{Summary: "Virtual, 2.06 GB memory, 0 disks, 1 NICs"}, done: true, problem: "drivers of the second stage are missing"},
		"12 disks":    {payload: inventory.FactsRead{Summary: "Virtual, 12 disks, 1 NICs"}, done: true, problem: "other disks"},
		"panic":       {payload: inventory.AgentPanic{Line: "nil map"}, done: true, problem: "its agent panicked: nil map"},
		"agent is up": {payload: inventory.AgentUp{}},
	} {
		e, err := inventory.NewEvent(nil, time.Now(), tt.payload)
		if err != nil {
			t.Fatal(err)
		}
		done, err := new(run).look(e)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if done != tt.done || (tt.problem == "") != (err == nil) || !strings.Contains(text, tt.problem) {
			t.Errorf("%s: %v, %v", name, done, err)
		}
	}
}

// TestServerEnds: a server that does not start is this host's failure, and nothing of the
// rack is left.
func TestServerEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("looks for KVM, some seconds")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	for _, p := range []string{"ip", "qemu-system-x86_64"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s", p)
		}
	}
	dir := t.TempDir()
	set := filepath.Join(dir, "set")
	if err := os.Mkdir(set, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "ingot")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"ingot: $1 can't: ${INGOT_DATABASE-no database}\" >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("INGOT_DATABASE", "postgres://production")
	tester := &Tester{Dir: filepath.Join(dir, "test"), Program: program, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	_, err := tester.Test(t.Context(), inventory.BootSet{ID: "0a1b"}, set, BIOS)
	if err == nil || !strings.Contains(err.Error(), "the test's server ended at once: ingot: serve can't: no database") {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(tester.Dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	spec, err := (&run{tester: tester, mode: BIOS, dir: filepath.Join(tester.Dir, BIOS)}).spec()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(context.Background(), "ip", "netns", "list").Output()
	if err != nil || strings.Contains(string(out), spec.Name) {
		t.Errorf("namespaces: %s, %v", out, err)
	}
	if _, err := tester.Test(t.Context(), inventory.BootSet{ID: "0a1b"}, set, "pxe"); err == nil {
		t.Error("a mode that is none was tested")
	}
}
