package master_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/images/master"
)

// loopDevice makes a block device of sizeBytes full of old data.
func loopDevice(t *testing.T, sizeBytes int64, args ...string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a loop device needs root")
	}
	path := filepath.Join(t.TempDir(), "backing")
	if err := os.WriteFile(path, bytes.Repeat([]byte{0xEE}, int(sizeBytes)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", append(args, "--show", "--find", path)...).CombinedOutput()
	if err != nil {
		t.Skipf("no loop device: %v: %s", err, out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach: %v: %s", err, out)
		}
	})
	return device
}

func TestApplyToBlockDevice(t *testing.T) {
	disk := testDisk(t)
	m, data := pack(t, disk)
	path := loopDevice(t, 12<<20)
	target, err := master.OpenDevice(path)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if target.SizeBytes() != 12<<20 || target.SectorBytes() != 512 {
		t.Errorf("size %d, sector %d", target.SizeBytes(), target.SectorBytes())
	}
	if _, err := apply(t, m, master.ReaderSource{Data: bytes.NewReader(data)}, target, master.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := master.Verify(context.Background(), m, target, nil); err != nil {
		t.Error(err)
	}
	got := make([]byte, len(disk))
	if _, err := target.ReadAt(got, 0); err != nil || !bytes.Equal(got, disk) {
		t.Errorf("the device differs from the image (%v)", err)
	}
	if _, err := master.OpenDevice(path); err == nil {
		t.Error("a disk in use was opened a second time")
	}
}

func TestOpenDeviceRefuses(t *testing.T) {
	for _, path := range []string{"/dev/null", t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		if _, err := master.OpenDevice(path); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
}

func TestDeviceZero(t *testing.T) {
	target, path := newDevice(t, 3<<20)
	if err := target.Zero(512, 2<<20); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte{0xEE}, 3<<20)
	clear(want[512 : 512+2<<20])
	if !bytes.Equal(got, want) {
		t.Error("not the range from 512, 2 MiB long, is zero")
	}
}
