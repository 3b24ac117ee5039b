package drivertest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// RawDisk is a disk with the same bytes each time, dataBytes of them from the start, which
// don't compress; the rest is empty.
func RawDisk(sizeBytes, dataBytes int) []byte {
	raw := make([]byte, sizeBytes)
	sum := sha256.Sum256([]byte("image"))
	for i := 0; i < dataBytes; i += len(sum) {
		copy(raw[i:dataBytes], sum[:])
		sum = sha256.Sum256(sum[:])
	}
	return raw
}

// Convert has qemu-img make an image file of a raw disk, in one of its formats ("vhdx") with
// that one's options.
func Convert(raw []byte, format, options string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "ingot-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	from, to := filepath.Join(dir, "raw"), filepath.Join(dir, "image")
	if err := os.WriteFile(from, raw, 0o600); err != nil {
		return nil, err
	}
	if out, err := exec.Command("qemu-img", "convert", "-f", "raw", "-O", format, "-o", options, from, to).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("qemu-img: %w: %s", err, out)
	}
	return os.ReadFile(to)
}

// NeedQemuImg skips where Convert has nothing to work with.
func NeedQemuImg(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("qemu-img"); err != nil {
		t.Skip("needs qemu-img (Debian: qemu-utils)")
	}
}
