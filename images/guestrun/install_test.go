package guestrun

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// installerFolder has Debian's own installer: package debian-installer-12-netboot-amd64.
const installerFolder = "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64"

// preseedAccepted is what the installer's log says once language, keyboard, network and
// mirror were taken from the answers, the mirror's Release files were read, and it begins
// to load the rest of itself. What is answered later (partitions, accounts, packages)
// needs a mirror with the installer's own packages (*.udeb), which not every one has.
var preseedAccepted = regexp.MustCompile(`Menu item 'download-installer' selected`)

// preseedRefused is how the text frontend asks.
var preseedRefused = regexp.MustCompile(`(?m)^Prompt: .*|Go back to the previous|Menu item '\S+' failed`)

// TestInstall runs Debian's installer from INGOT_TEST_INSTALLER (a folder with linux and
// initrd.gz; the package's when it says "installed") until the preseed is accepted, and to
// its end when INGOT_INSTALL_TO is a folder for the disk.
func TestInstall(t *testing.T) {
	folder := os.Getenv("INGOT_TEST_INSTALLER")
	if folder == "" || testing.Short() {
		t.Skip("an installer takes minutes and a mirror: set INGOT_TEST_INSTALLER=installed, or a folder, and leave -short out")
	}
	t.Parallel()
	if folder == "installed" {
		folder = installerFolder
	}
	preseed, err := os.ReadFile("testdata/preseed.cfg")
	if err != nil {
		t.Fatal(err)
	}
	to := os.Getenv("INGOT_INSTALL_TO")
	dir := to
	if to == "" {
		dir = t.TempDir()
	}
	began := time.Now()
	log := filepath.Join(dir, "install-console.log")
	raw, err := Install(t.Context(), InstallOptions{Name: "debian-12", Dir: dir, Kernel: filepath.Join(folder, "linux"), Initrd: filepath.Join(folder, "initrd.gz"),
		CommandLine: "auto=true priority=critical DEBIAN_FRONTEND=text TERM=dumb console=ttyS0,115200n8 ---", InitrdFiles: map[string][]byte{"/preseed.cfg": preseed},
		SizeBytes: 3 << 30, Network: NetworkOpen, Accepted: preseedAccepted, Refused: preseedRefused, StopWhenAccepted: to == "", ConsoleLog: log,
		Stall: 10 * time.Minute, Limit: 3 * time.Hour, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Progress: func(step string) { t.Logf("%s after %v", step, time.Since(began).Round(time.Second)) }})
	console, readErr := os.ReadFile(log)
	if err != nil || readErr != nil {
		t.Fatalf("after %v: %v, %v; console:\n%s", time.Since(began), err, readErr, LastLines(string(console[max(0, len(console)-8000):]), 40))
	}
	if !strings.Contains(string(console), "preseed") {
		t.Error("the installer's log says nothing of the preseed")
	}
	t.Logf("after %v: %q", time.Since(began).Round(time.Second), raw)
	if left, err := filepath.Glob(filepath.Join(dir, scratchPrefix+"*")); err != nil || left != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestInstallEnds runs a boot sector in the place of an installer.
func TestInstallEnds(t *testing.T) {
	m := sector(t, switchOff)
	o := InstallOptions{Name: "sector", Dir: m.Dir, ISO: m.Base, SizeBytes: 1 << 20, Accelerator: m.Accelerator, MemoryMiB: 64, Stall: time.Minute, Limit: time.Minute,
		Refused: regexp.MustCompile("No bootable device"), ConsoleLog: filepath.Join(t.TempDir(), "console.log")}
	// Not an ISO: the firmware finds nothing, which this installer calls a refusal.
	_, err := Install(t.Context(), o)
	if !errors.As(err, new(*GuestError)) || !strings.Contains(err.Error(), "No bootable device") {
		t.Errorf("Install = %v, want the guest's failure", err)
	}
	if log, err := os.ReadFile(o.ConsoleLog); err != nil || len(log) == 0 {
		t.Errorf("console log: %d bytes, %v", len(log), err)
	}
	if left, err := os.ReadDir(m.Dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
