package build_test

import (
	"context"
	"os"
	"slices"
	"testing"

	"ingot/images/build"
	"ingot/images/contents"
	"ingot/images/master"
)

// TestSectorsOf4096: an image for such disks has its partition table and its EFI system
// partition in sectors of that size, and nothing for a BIOS.
func TestSectorsOf4096(t *testing.T) {
	needTools(t)
	t.Parallel()
	r := recipe(t, "tiny")
	r.SectorBytes = 4096
	err := build.Disk(t.Context(), r, build.Options{Dir: t.TempDir(), Cache: cacheDir(t), Log: logFile(t)}, func(_ context.Context, raw string, traits master.Traits) error {
		if traits.SectorBytes != 4096 || !slices.Equal(traits.BootModes, []master.BootMode{master.BootUEFI, master.BootSecureBoot}) {
			t.Errorf("traits %+v", traits)
		}
		f, err := os.Open(raw)
		if err != nil {
			return err
		}
		defer f.Close()
		size := int64(r.SizeMiB) << 20
		table, err := master.ReadTable(f, size, 4096)
		if err != nil {
			return err
		}
		if len(table.Partitions) != 1 || table.Partitions[0].Type != master.TypeESP {
			t.Errorf("partitions %+v, want one: the EFI system partition", table.Partitions)
		}
		disk, err := contents.Open(f, size, 4096)
		if err != nil {
			return err
		}
		if disk.ESP == nil || !disk.ESP.Exists("EFI/BOOT/BOOTX64.EFI") || !disk.ESP.Exists("vmlinuz") {
			t.Errorf("the EFI system partition lacks its files: %+v", disk.ESP)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
