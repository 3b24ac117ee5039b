package master_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ingot/images/master"
)

func guid(s string) master.GUID { return master.NewGUID(master.DigestOf([]byte(s))) }

// newTable writes the table of a golden image: BIOS boot, ESP, root.
func newTable(tb testing.TB, disk *master.Device, diskBytes int64, sectorBytes int) *master.Table {
	tb.Helper()
	table, err := master.NewTable(guid("disk"), diskBytes, sectorBytes)
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range []struct {
		partitionType master.GUID
		name          string
		size          int64
	}{{master.TypeBIOSBoot, "bios", 1 << 20}, {master.TypeESP, "esp", 8 << 20}, {master.TypeLinuxRoot, "root", 0}} {
		if _, err := table.Append(p.partitionType, guid(p.name), p.name, p.size, 2<<20); err != nil {
			tb.Fatal(err)
		}
	}
	if err := table.Write(disk); err != nil {
		tb.Fatal(err)
	}
	return table
}

func sparseDisk(tb testing.TB, sizeBytes int64) (*master.Device, string) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "gpt")
	disk, err := master.CreateFile(path, sizeBytes)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { disk.Close() })
	return disk, path
}

func TestTableOnLargerDisk(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		t.Run(fmt.Sprint(sector), func(t *testing.T) {
			const image, large = 32 << 20, 100<<20 + 4096*3
			disk, _ := sparseDisk(t, large)
			bootCode := bytes.Repeat([]byte{0x90}, 440)
			if _, err := disk.WriteAt(bootCode, 0); err != nil {
				t.Fatal(err)
			}
			newTable(t, disk, image, sector)
			table, err := master.ReadTable(disk, large, sector)
			if err != nil {
				t.Fatal(err)
			}
			if err := table.Grow("root", 4<<20); err != nil {
				t.Fatal(err)
			}
			seed, err := table.AddLast(master.TypeBasicData, guid("seed"), "CIDATA", 3<<20)
			if err != nil {
				t.Fatal(err)
			}
			if err := table.Write(disk); err != nil {
				t.Fatal(err)
			}
			got, err := master.ReadTable(disk, large, sector)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(table, got, cmpopts.IgnoreUnexported(master.Table{})); diff != "" {
				t.Errorf("read back (-want +got):\n%s", diff)
			}
			root, err := got.Find("root")
			if err != nil {
				t.Fatal(err)
			}
			offset, length := got.Offset(*root)
			seedAt, seedLength := got.Offset(seed)
			if offset != 10<<20 || offset+length > seedAt || seedAt-offset-length > 2<<20 || seedLength != 3<<20 {
				t.Errorf("root at %d, %d long; seed at %d, %d long", offset, length, seedAt, seedLength)
			}
			code, old := make([]byte, 440), make([]byte, 8)
			if _, err := disk.ReadAt(code, 0); err != nil || !bytes.Equal(code, bootCode) {
				t.Error("the boot code was changed")
			}
			if _, err := disk.ReadAt(old, image-int64(sector)); err != nil || string(old) == "EFI PART" {
				t.Error("the old backup header is still there")
			}
		})
	}
}

func TestReadTableTakesBackup(t *testing.T) {
	disk, _ := sparseDisk(t, 32<<20)
	want := newTable(t, disk, 32<<20, 512)
	if _, err := disk.WriteAt([]byte("garbage"), 512+20); err != nil {
		t.Fatal(err)
	}
	got, err := master.ReadTable(disk, 32<<20, 512)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(master.Table{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTableRefuses(t *testing.T) {
	const size = 32 << 20
	for _, test := range []struct {
		name string
		do   func(*master.Table, *master.Device) error
	}{
		{"no such name", func(t *master.Table, _ *master.Device) error { return t.Grow("home", 0) }},
		{"partition behind", func(t *master.Table, _ *master.Device) error { return t.Grow("esp", 0) }},
		{"no room", func(t *master.Table, _ *master.Device) error { return t.Grow("root", 16<<20) }},
		{"seed over root", func(t *master.Table, _ *master.Device) error {
			_, err := t.AddLast(master.TypeBasicData, guid("x"), "CIDATA", 8<<20)
			return err
		}},
		{"long name", func(t *master.Table, _ *master.Device) error {
			_, err := t.AddLast(master.TypeBasicData, guid("x"), strings.Repeat("x", 37), 512)
			return err
		}},
		{"overlap", func(t *master.Table, d *master.Device) error {
			t.Partitions[1].LastLBA = t.Partitions[2].FirstLBA
			return t.Write(d)
		}},
		{"smaller disk", func(_ *master.Table, d *master.Device) error {
			_, err := master.ReadTable(d, size/2, 512)
			return err
		}},
		{"other sector size", func(_ *master.Table, d *master.Device) error {
			_, err := master.ReadTable(d, size, 4096)
			return err
		}},
		{"tiny disk", func(*master.Table, *master.Device) error {
			_, err := master.NewTable(guid("x"), 8<<10, 512)
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			disk, _ := sparseDisk(t, size)
			table := newTable(t, disk, size, 512)
			var fault *master.TableError
			if err := test.do(table, disk); !errors.As(err, &fault) {
				t.Errorf("got %v, want a table error", err)
			}
		})
	}
}

// TestSgdiskAgrees has a peer read the tables.
func TestSgdiskAgrees(t *testing.T) {
	sgdisk, err := exec.LookPath("sgdisk")
	if err != nil {
		t.Skip("sgdisk is not installed: apt-get install gdisk")
	}
	disk, path := sparseDisk(t, 64<<20)
	newTable(t, disk, 32<<20, 512)
	table, err := master.ReadTable(disk, 64<<20, 512)
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Grow("root", 4<<20); err != nil {
		t.Fatal(err)
	}
	if _, err := table.AddLast(master.TypeBasicData, guid("seed"), "CIDATA", 2<<20); err != nil {
		t.Fatal(err)
	}
	if err := table.Write(disk); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(sgdisk, "--verify", "--print", path).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No problems found") || !strings.Contains(string(out), "CIDATA") {
		t.Errorf("sgdisk: %v\n%s", err, out)
	}
	out, err = exec.Command(sgdisk, "--info=3", path).CombinedOutput()
	if err != nil || !strings.Contains(string(out), strings.ToUpper(guid("root").String())) {
		t.Errorf("sgdisk --info=3 doesn't show %s: %v\n%s", guid("root"), err, out)
	}
	if out, err := exec.Command(sgdisk, "--new=0:0:+1M", "--change-name=5:theirs", path).CombinedOutput(); err != nil {
		t.Fatalf("sgdisk --new: %v\n%s", err, out)
	}
	got, err := master.ReadTable(disk, 64<<20, 512)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := got.Find("theirs"); err != nil {
		t.Error(err)
	}
}

// TestLinuxAgrees has the kernel read a table with 4096-byte sectors.
func TestLinuxAgrees(t *testing.T) {
	device := loopDevice(t, 32<<20, "--sector-size=4096", "--partscan")
	disk, err := master.OpenDevice(device)
	if err != nil {
		t.Fatal(err)
	}
	newTable(t, disk, 32<<20, 4096)
	if err := errors.Join(disk.Sync(), disk.Close()); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("blockdev", "--rereadpt", device).CombinedOutput(); err != nil {
		t.Skipf("the kernel doesn't read partitions of loop devices: %v: %s", err, out)
	}
	start, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(device), filepath.Base(device)+"p3", "start"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("this kernel makes no partitions of loop devices, or knows no GPT (CONFIG_EFI_PARTITION)")
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(start)); got != fmt.Sprint(10<<20/512) {
		t.Errorf("the kernel sees root at sector %s, want %d", got, 10<<20/512)
	}
}

func FuzzReadTable(f *testing.F) {
	disk, path := sparseDisk(f, 16<<20)
	newTable(f, disk, 16<<20, 512)
	image, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(image[:34*512], int64(16<<20))
	f.Add(image[:600], int64(1<<40))
	f.Fuzz(func(t *testing.T, start []byte, size int64) {
		table, err := master.ReadTable(bytes.NewReader(start), size, 512)
		if err != nil {
			return
		}
		for _, p := range table.Partitions {
			if p.Type != (master.GUID{}) && (p.FirstLBA < 3 || p.LastLBA >= size/512) {
				t.Fatalf("partition %+v leaves a disk of %d bytes", p, size)
			}
		}
	})
}
