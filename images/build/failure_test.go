package build_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ingot/images/build"
	"ingot/inventory"
)

// miniRecipe is the smallest Debian, with steps.
func miniRecipe(t testing.TB, steps string) build.Recipe {
	t.Helper()
	r, err := build.ParseRecipe("mini.yaml", []byte("name: mini\nsystem: debian\nrelease: bookworm\ncomponents: [main]\nsizeMiB: 1024\npackages: [zstd]\n"+steps))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func nothing(context.Context, build.Result) error { return nil }

// watch calls do once when what is written holds text.
type watch struct {
	mu   sync.Mutex
	text string
	seen bytes.Buffer
	do   func()
}

func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.Write(p)
	if w.do != nil && strings.Contains(w.seen.String(), w.text) {
		w.do()
		w.do = nil
	}
	return len(p), nil
}

// checkClean fails when there is anything in a build's folder, or mounted or running below it.
func checkClean(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	checkQuiet(t, dir)
}

func checkQuiet(t *testing.T, dir string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), " "+dir+"/") {
		t.Errorf("something is mounted below %s:\n%s", dir, mounts)
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		line, _ := os.ReadFile(p)
		cwd, _ := os.Readlink(filepath.Join(filepath.Dir(p), "cwd"))
		root, _ := os.Readlink(filepath.Join(filepath.Dir(p), "root"))
		if strings.HasPrefix(cwd, dir) || strings.HasPrefix(root, dir) {
			t.Errorf("still running: %s %q", p, line)
		}
	}
}

func TestMissingPackage(t *testing.T) {
	needTools(t)
	t.Parallel()
	r, err := build.ParseRecipe("x.yaml", []byte("name: x\nsystem: tiny\nrelease: bookworm\ncomponents: [main]\nsizeMiB: 96\npackages:\n  - busybox-static\n  - linux-image-amd65\n"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	err = build.Build(t.Context(), r, build.Options{Dir: dir, Cache: cacheDir(t), Log: logFile(t)}, nothing)
	want := "x.yaml: line 8: key packages[1]: bookworm has no package linux-image-amd65 in main"
	if !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v\nwant %q", err, want)
	}
	checkClean(t, dir)
}

func TestArchiveOutOfReach(t *testing.T) {
	needTools(t)
	t.Parallel()
	r := recipe(t, "tiny")
	r.Mirror = "http://127.0.0.1:9/debian"
	dir := t.TempDir()
	err := build.Build(t.Context(), r, build.Options{Dir: dir, Log: logFile(t)}, nothing)
	if err == nil || !strings.Contains(err.Error(), "read the archive's lists") || !strings.Contains(err.Error(), "127.0.0.1:9") {
		t.Errorf("got %v", err)
	}
	checkClean(t, dir)
}

func TestPinnedButGone(t *testing.T) {
	needTools(t)
	dir := t.TempDir()
	pinned := build.Inputs{Packages: []build.Package{{Name: "busybox-static", Version: "1.0", SHA256: strings.Repeat("0", 64)}}}
	err := build.Build(t.Context(), recipe(t, "tiny"), build.Options{Dir: dir, Cache: t.TempDir(), Pinned: &pinned, Log: logFile(t)}, nothing)
	if !errors.Is(err, inventory.ErrNotFound) || !strings.Contains(err.Error(), "lacks 1 of the pinned inputs: busybox-static 1.0") {
		t.Errorf("got %v", err)
	}
	checkClean(t, dir)
}

func TestScriptThatFails(t *testing.T) {
	needTools(t)
	t.Parallel()
	r := miniRecipe(t, "steps:\n  - files: [{path: /opt/x, content: y}]\n  - script:\n      name: break\n      run: |\n        echo before the fault\n        cat /opt/x\n        exit 7\n  - script: {run: 'echo never'}\n")
	dir := t.TempDir()
	err := build.Build(t.Context(), r, build.Options{Dir: dir, Cache: cacheDir(t), Log: logFile(t)}, nothing)
	for _, want := range []string{"mini.yaml: line 9: step 2 of 3 (script break) failed with exit code 7", "before the fault / y"} {
		if err == nil || !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %q", err, want)
		}
	}
	checkClean(t, dir)
}

func TestCancelled(t *testing.T) {
	needTools(t)
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dir := t.TempDir()
	log := &watch{text: "I: extracting archives", do: cancel}
	err := build.Build(ctx, miniRecipe(t, ""), build.Options{Dir: dir, Cache: cacheDir(t), Log: log}, nothing)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	checkClean(t, dir)
}

func TestFullDisk(t *testing.T) {
	needTools(t)
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=60m"); err != nil {
		t.Skipf("mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	err := build.Build(t.Context(), recipe(t, "tiny"), build.Options{Dir: dir, Cache: cacheDir(t), Log: logFile(t)}, nothing)
	if err == nil || !strings.Contains(err.Error(), "no room left in "+dir) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestKilled kills a process that builds, and builds again.
func TestKilled(t *testing.T) {
	needTools(t)
	t.Parallel()
	if dir := os.Getenv("INGOT_KILLED_BUILD"); dir != "" {
		err := build.Build(t.Context(), miniRecipe(t, ""), build.Options{Dir: dir, Cache: cacheDir(t), Log: os.Stderr}, nothing)
		t.Fatalf("not killed: %v", err)
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "INGOT_KILLED_BUILD="+dir)
	log := &watch{text: "I: installing essential packages", do: func() { cmd.Process.Kill() }}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err == nil {
		t.Fatal("it was not killed")
	}
	if log.do != nil {
		t.Fatalf("it ended by itself: %s", log.seen.String())
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Fatalf("want one folder left: %v %v", left, err)
	}
	checkQuiet(t, dir)
	pinned := build.Inputs{Packages: []build.Package{{Name: "gone", Version: "1", SHA256: strings.Repeat("0", 64)}}}
	if err := build.Build(t.Context(), recipe(t, "tiny"), build.Options{Dir: dir, Cache: t.TempDir(), Pinned: &pinned}, nothing); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	checkClean(t, dir)
}

func TestTooSmall(t *testing.T) {
	needTools(t)
	t.Parallel()
	layout, digest := ociLayout(t, layer(t, fileEntry("sbin/init")))
	r := ociRecipe(t, layout, digest)
	r.SizeMiB = 200
	dir := t.TempDir()
	err := build.Build(t.Context(), r, build.Options{Dir: dir, Cache: cacheDir(t), Log: logFile(t)}, nothing)
	if !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), "oci.yaml: line 4: key sizeMiB: 200 is too small: the files need") {
		t.Errorf("got %v", err)
	}
	checkClean(t, dir)
}
