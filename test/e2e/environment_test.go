package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/inventory"
)

// brokenAgent is an /init that ends at once: the kernel panics.
const brokenAgent = "package main\n\nfunc main() {}\n"

// TestBootEnvironment: a set of boot files made from Debian's packages is booted by UEFI,
// also when the server was killed in the middle of that, and becomes current when its agent
// reported facts; one whose agent dies is refused, and machines go on with the one before.
// None of the test's machines is seen in the inventory.
func TestBootEnvironment(t *testing.T) {
	need(t)
	t.Parallel()
	guest(t)
	f := newFactory(t, "boot_environment: {modes: [uefi]}\n")
	f.env = append(f.env, "INGOT_CACHE="+filepath.Dir(built.seedData))
	f.bootFiles()
	f.start()
	old := f.sets()[0]
	if old.State != inventory.BootSetCurrent {
		t.Fatalf("at first %+v", old)
	}
	f.goAgent("other", "", "-X main.version=other")
	f.restart("other")
	f.killedTest()
	f.restart("other")
	out := f.ingot("agent", "build")
	if !strings.Contains(out, "  passed   uefi") {
		t.Errorf("build: %s", out)
	}
	made := f.sets()[0]
	if made.State != inventory.BootSetCurrent || !made.Tested() || made.ID == old.ID || made.Tests[0].Facts == "" {
		t.Errorf("after the build %+v", made)
	}
	f.goAgent("broken", brokenAgent, "")
	f.restart("broken")
	if text := f.refused("agent", "build"); !strings.Contains(text, "Kernel panic - not syncing") || !strings.Contains(text, "was not promoted: machines go on") {
		t.Errorf("broken: %s", text)
	}
	f.afterwards(old.ID, made.ID)
}

// afterwards checks what is left: sets, evidence, events, and nothing of the tests.
func (f *factory) afterwards(old, current string) {
	f.t.Helper()
	states := map[string]inventory.BootSetState{}
	for _, s := range f.sets() {
		states[s.ID] = s.State
		if s.ID == old { // its tests were elsewhere
			continue
		}
		for _, test := range s.Tests {
			for _, file := range test.Files {
				if info, err := os.Stat(file); err != nil || info.Size() == 0 {
					f.t.Errorf("evidence %s: %v", file, err)
				}
			}
			if len(test.Files) < 2 {
				f.t.Errorf("evidence %v", test.Files)
			}
		}
	}
	if len(states) != 3 || states[old] != inventory.BootSetFormer || states[current] != inventory.BootSetCurrent {
		f.t.Errorf("sets %v", states)
	}
	events := f.ingot("events")
	for _, want := range []string{"boot set " + current + " (kernel ", "passed its boot test (uefi)", "failed its boot test (uefi): its console says: Kernel panic"} {
		if !strings.Contains(events, want) {
			f.t.Errorf("no %q in:\n%s", want, events)
		}
	}
	if machines, err := f.client.Machines(f.t.Context()); err != nil || len(machines) > 0 {
		f.t.Errorf("machines of the tests are in the inventory: %v, %v", machines, err)
	}
	if left, err := os.ReadDir(f.path("data/boot/test")); err != nil || len(left) > 0 {
		f.t.Errorf("left of the tests: %v, %v", left, err)
	}
	if racks := f.racks(); len(racks) > 0 {
		f.t.Errorf("racks left: %v", racks)
	}
}

// bootFiles gives the server the boot files that all tests share.
func (f *factory) bootFiles() {
	f.t.Helper()
	if err := os.MkdirAll(f.path("data"), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if out, err := exec.CommandContext(f.t.Context(), "cp", "-a", filepath.Join(built.seedData, "boot"), f.path("data/boot")).CombinedOutput(); err != nil {
		f.t.Fatalf("copy boot files: %v\n%s", err, out)
	}
	sets, err := filepath.Glob(f.path("data/boot/sets/*"))
	if err != nil {
		f.t.Fatal(err)
	}
	current, err := filepath.EvalSymlinks(f.path("data/boot/current"))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, dir := range sets { // others are of earlier runs
		if filepath.Base(dir) == filepath.Base(current) {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			f.t.Fatal(err)
		}
	}
}

// goAgent builds an agent: ours, or another program.
func (f *factory) goAgent(name, source, flags string) {
	f.t.Helper()
	pkg := "./cmd/ingot-agent"
	if source != "" {
		pkg = f.path(name + ".go")
		if err := os.WriteFile(pkg, []byte(source), 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := step(filepath.Join("..", ".."), filepath.Dir(built.seedData), []string{"go", "build", "-trimpath", "-ldflags", "-s -w " + flags, "-o", f.path(name), pkg}); err != nil {
		f.t.Fatal(err)
	}
}

// restart starts the server with another agent beside it.
func (f *factory) restart(agent string) {
	f.t.Helper()
	f.kill()
	f.env = append(f.env, "INGOT_AGENT="+f.path(agent))
	f.start()
}

func (f *factory) sets() (sets []inventory.BootSet) {
	f.t.Helper()
	if err := json.Unmarshal([]byte(f.ingot("agent", "list", "-o", "json")), &sets); err != nil {
		f.t.Fatal(err)
	}
	return sets
}

// refused runs a command that must fail, and returns all that it said.
func (f *factory) refused(args ...string) string {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), built.ingot, args...)
	cmd.Env, cmd.Dir = f.env, f.dir
	out, err := cmd.CombinedOutput()
	if err == nil {
		f.t.Errorf("ingot %v: it did not fail", args)
	}
	return string(out)
}

// racks are the rack's directories of boot tests under way, by process.
func (f *factory) racks() []string {
	pids, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		f.t.Fatal(err)
	}
	var found []string
	for _, path := range pids {
		text, _ := os.ReadFile(path) // it may be gone
		if strings.Contains(string(text), f.path("data/boot/test")) {
			found = append(found, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return found
}

// killedTest kills the server while it boots a set; the virtual machine and the test's
// server end with it.
func (f *factory) killedTest() {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), built.ingot, "agent", "build")
	cmd.Env, cmd.Dir = f.env, f.dir
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.until("the set boots", 2*time.Minute, func(context.Context) error {
		if info, err := os.Stat(f.path("data/boot/test/uefi/rack/machines/m/console.log")); err != nil || info.Size() == 0 {
			return errors.New("the console is silent")
		}
		return nil
	})
	f.kill()
	if err := cmd.Wait(); err == nil {
		f.t.Error("the command did not notice that its server was killed")
	}
	f.until("the test's processes end", time.Minute, func(context.Context) error {
		if racks := f.racks(); len(racks) > 0 {
			return fmt.Errorf("%v", racks)
		}
		return nil
	})
}
