package images_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/images"
	"ingot/images/master"
	"ingot/inventory"
)

// TestSectorsAreFound: what a partition table counts in is found in a disk, in one that is
// unpacked as it is read, and in a qcow2; formats that can't say it are refused.
func TestSectorsAreFound(t *testing.T) {
	dir := t.TempDir()
	for _, sector := range []int{512, 4096} {
		raw := rawDiskOf(t, sector, 1)
		run(t, "zstd", "-q", raw, "-o", raw+".zst")
		run(t, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, raw+".qcow2")
		for _, file := range []string{raw, raw + ".zst", raw + ".qcow2"} {
			store, _ := newStore(t)
			o := options()
			o.SectorBytes = 0
			image, err := store.Import(t.Context(), file, o)
			if err != nil || image.LogicalSectorBytes != sector {
				t.Errorf("%s: %d-byte sectors, %v, want %d", filepath.Base(file), image.LogicalSectorBytes, err, sector)
				continue
			}
			for _, format := range []images.Format{images.FormatRaw, images.FormatQcow2} {
				if err := store.Export(t.Context(), image.Digest, format, filepath.Join(dir, "out"), images.ExportOptions{Overwrite: true}); err != nil {
					t.Errorf("export as %s: %v", format, err)
				}
			}
			for _, format := range []images.Format{images.FormatVMDK, images.FormatVHDX, images.FormatOVA} {
				err := store.Export(t.Context(), image.Digest, format, filepath.Join(dir, "out"), images.ExportOptions{Overwrite: true})
				refused := errors.Is(err, inventory.ErrInvalid) && strings.Contains(err.Error(), "4096-byte sectors")
				if sector == 4096 && !refused || sector == 512 && err != nil {
					t.Errorf("export of %d-byte sectors as %s: %v", sector, format, err)
				}
			}
		}
	}
}

// TestSectorsWithoutATable: a disk that has none is one of 512-byte sectors.
func TestSectorsWithoutATable(t *testing.T) {
	store, _ := newStore(t)
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	image, err := store.Import(t.Context(), path, images.ImportOptions{Name: "empty", Format: images.FormatRaw, Traits: master.Traits{FirstBoot: master.FirstBootNone}})
	if err != nil || image.LogicalSectorBytes != 512 {
		t.Errorf("%d-byte sectors, %v", image.LogicalSectorBytes, err)
	}
}
