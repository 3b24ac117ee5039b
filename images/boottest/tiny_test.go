package boottest

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/images/build"
	"ingot/images/master"
	"ingot/inventory"
)

// tinyImage builds the tiny recipe and returns its raw disk. It is the image that takes
// no commands.
func tinyImage(t *testing.T) (inventory.Image, string) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds an image and boots it several times: left out by -short")
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("needs qemu-system-x86_64 (Debian package qemu-system-x86)")
	}
	if err := build.CheckTools(); err != nil {
		t.Skip(err)
	}
	if os.Geteuid() != 0 {
		t.Skip("an image build needs root")
	}
	recipe, err := build.EmbeddedRecipe("tiny")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tiny.raw")
	err = build.Disk(t.Context(), recipe, build.Options{Dir: t.TempDir(), Cache: cacheDir(t)}, func(_ context.Context, raw string, _ master.Traits) error { return os.Rename(raw, path) })
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return inventory.Image{Name: "tiny", SizeBytes: info.Size(), LogicalSectorBytes: 512, FirstBoot: "cloud-init"}, path
}

// cacheDir is the cache of downloads that tests share.
func cacheDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../.cache/test/build")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func options(t *testing.T, image inventory.Image, path, mode string) Options {
	return Options{Image: image, Mode: mode, Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Timeout: 3 * time.Minute, Stall: time.Minute,
		Open: func(context.Context) (string, string, error) { return path, "raw", nil }}
}

// mustTest runs a test that comes to a verdict, and checks what is kept and left behind.
func mustTest(t *testing.T, o Options) inventory.ImageTest {
	t.Helper()
	got, files, err := Test(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s passed=%v %v s, problem %q", got.ID, got.Passed, got.Seconds, got.Problem)
	for _, c := range got.Checks {
		t.Logf("  %-16s %-5v %s", c.Name, c.Passed, c.Detail)
	}
	if log, err := os.ReadFile(files[ConsoleFile]); err != nil || len(log) == 0 {
		t.Errorf("console log: %d bytes, %v", len(log), err)
	}
	if png, err := os.ReadFile(files[ScreenFile]); err != nil || !strings.HasPrefix(string(png), "\x89PNG") {
		t.Errorf("screenshot: %d bytes, %v", len(png), err)
	}
	left, err := filepath.Glob(filepath.Join(o.Dir, "guest-*"))
	if err != nil || left != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return got
}

func names(checks []inventory.ImageCheck) string {
	var list []string
	for _, c := range checks {
		list = append(list, c.Name)
	}
	return strings.Join(list, ", ")
}

func TestTiny(t *testing.T) {
	image, path := tinyImage(t)
	before := hash(t, path)
	t.Run("boots", func(t *testing.T) { testBoots(t, image, path) })
	if hash(t, path) != before {
		t.Error("the image was changed")
	}
}

// testBoots has two guests at once: most of their time they wait.
func testBoots(t *testing.T, image inventory.Image, path string) {
	t.Run("passes", func(t *testing.T) {
		t.Parallel()
		got := mustTest(t, options(t, image, path, "bios"))
		if !got.Passed || names(got.Checks) != "phone-home, hostname, not checked" || !strings.Contains(got.Checks[2].Detail, "no failed units (the image takes no commands)") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("nobody speaks", func(t *testing.T) {
		t.Parallel()
		o := options(t, image, path, "bios")
		o.Image.FirstBoot, o.Reached = "none", tinyUp
		got := mustTest(t, o)
		if !got.Passed || names(got.Checks) != "console, not checked" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("never phones home", func(t *testing.T) {
		t.Parallel()
		o := options(t, image, path, "bios")
		o.home, o.Timeout = "http://10.0.2.2:9/", 15*time.Second
		failed(t, mustTest(t, o), "phone-home: the guest took more than 15s", "Booting")
	})
	t.Run("kernel panic", func(t *testing.T) {
		t.Parallel()
		failed(t, mustTest(t, options(t, image, withoutInitrd(t, path), "bios")), "phone-home: the guest stopped with \"Kernel panic - not syncing: VFS: Unable to mount root fs", "")
	})
	t.Run("no boot loader", func(t *testing.T) {
		t.Parallel()
		blank := filepath.Join(t.TempDir(), "blank.raw")
		if err := errors.Join(os.WriteFile(blank, nil, 0o600), os.Truncate(blank, image.SizeBytes)); err != nil {
			t.Fatal(err)
		}
		failed(t, mustTest(t, options(t, image, blank, "bios")), `phone-home: the guest stopped with "No bootable device"`, "")
	})
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		o := options(t, image, path, "bios")
		o.Image.FirstBoot, o.Stall = "none", 8*time.Second
		o.Reached = never
		failed(t, mustTest(t, o), "console: the guest was silent for 8s", "")
	})
	t.Run("killed from outside", func(t *testing.T) {
		t.Parallel()
		o := options(t, image, path, "bios")
		o.Progress = onBoot(func() { kill(t, o.Dir) })
		_, _, err := Test(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), "signal: killed") {
			t.Errorf("Test = %v, want an error", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		o := options(t, image, path, "bios")
		o.Progress = onBoot(cancel)
		if _, _, err := Test(ctx, o); !errors.Is(err, context.Canceled) {
			t.Errorf("Test = %v, want cancelled", err)
		}
		if left, err := filepath.Glob(filepath.Join(o.Dir, "guest-*")); err != nil || left != nil {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}

func onBoot(f func()) func(string) {
	return func(step string) {
		if step == "boot" {
			f()
		}
	}
}

// failed checks that a test failed with a problem that begins so, and what its first
// failed check says.
func failed(t *testing.T, got inventory.ImageTest, problem, detail string) {
	t.Helper()
	if got.Passed || !strings.HasPrefix(got.Problem, problem) || strings.Contains(got.Problem, "\n") {
		t.Errorf("passed %v, problem %q, want %q", got.Passed, got.Problem, problem)
	}
	for _, c := range got.Checks {
		if !c.Passed && strings.Contains(c.Detail, detail) {
			return
		}
	}
	t.Errorf("no failed check says %q: %+v", detail, got.Checks)
}

func kill(t *testing.T, dir string) {
	found, err := filepath.Glob(filepath.Join(dir, "guest-*", "machine"))
	if err != nil || len(found) != 1 {
		t.Fatalf("machines: %v, %v", found, err)
	}
	p, err := qemu.Attach(found[0])
	if err == nil {
		err = syscall.Kill(p.PID(), syscall.SIGKILL)
	}
	if err != nil {
		t.Error(err)
	}
}
