package publish_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/images/build"
	"ingot/images/master"
	"ingot/images/publish"
)

// TestAnswersArrive boots the kernel of the tiny image in the place of Ubuntu's installer:
// by its label it finds the disk with the answers, and takes its name from there. The run is
// cut short there.
func TestAnswersArrive(t *testing.T) {
	if testing.Short() || !strings.Contains(os.Getenv("INGOT_BOOT_TEST"), "tiny") {
		t.Skip("boots take minutes: set INGOT_BOOT_TEST=tiny,debian-12 and leave -short out")
	}
	if err := build.CheckTools(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	recipe, err := build.EmbeddedRecipe("tiny")
	if err != nil {
		t.Fatal(err)
	}
	i := build.Installation{Kind: build.InstallerAutoinstall, Kernel: filepath.Join(dir, "vmlinuz"), Initrd: filepath.Join(dir, "initrd.img"), CommandLine: "console=ttyS0,115200n8",
		AnswerName: "user-data", Answer: []byte("#cloud-config\nurl: http://10.0.2.2:9/\n"), Accepted: `Connecting to 10\.0\.2\.2:9`, SizeBytes: 1 << 30, To: filepath.Join(dir, "disk.raw")}
	err = build.Disk(t.Context(), recipe, build.Options{Dir: t.TempDir(), Cache: cacheDir(t)}, func(ctx context.Context, raw string, _ master.Traits) error {
		// The EFI system partition is the second, at 2 MiB.
		return exec.CommandContext(ctx, "mcopy", "-i", raw+"@@2M", "::/vmlinuz", "::/initrd.img", dir).Run()
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	accepted := errors.New("accepted")
	i.Log = writerFunc(func(p []byte) (int, error) {
		if strings.Contains(string(p), "== install") {
			cancel(accepted)
		}
		return len(p), nil
	})
	work := t.TempDir()
	err = publish.Machines{Dir: work, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}.Install(ctx, i)
	if !errors.Is(err, accepted) && !errors.Is(err, context.Canceled) || !errors.Is(context.Cause(ctx), accepted) {
		t.Errorf("Install = %v, want it to have come to the installation", err)
	}
	if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
