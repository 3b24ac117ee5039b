package images_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ingot/images"
	"ingot/inventory"
)

func TestToRaw(t *testing.T) {
	disk := rawDisk(t, 80)
	want, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	vmdk := made(t, disk, "vmdk", "subformat=streamOptimized")
	for _, tt := range []struct {
		name, path string
		format     images.Format
		err        error
	}{
		{"vmdk", vmdk, images.FormatVMDK, nil},
		{"vhdx", made(t, disk, "vhdx", ""), images.FormatVHDX, nil},
		{"qcow2", made(t, disk, "qcow2", ""), images.FormatQcow2, nil},
		{"another format", vmdk, images.FormatVHDX, inventory.ErrInvalid},
		{"extents elsewhere", made(t, disk, "vmdk", "subformat=monolithicFlat"), images.FormatVMDK, inventory.ErrInvalid},
		{"no file", filepath.Join(t.TempDir(), "none"), images.FormatVMDK, os.ErrNotExist},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := filepath.Join(t.TempDir(), "disk.raw")
			err := images.ToRaw(t.Context(), tt.path, tt.format, raw)
			if !errors.Is(err, tt.err) {
				t.Fatalf("ToRaw = %v, want %v", err, tt.err)
			}
			got, readErr := os.ReadFile(raw)
			if err == nil && !bytes.Equal(got, want) || (err == nil) != (readErr == nil) {
				t.Errorf("%d bytes, %v; want the %d of the disk", len(got), readErr, len(want))
			}
		})
	}
}
