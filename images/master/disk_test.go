package master_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"ingot/images/master"
)

// testDisk is a raw disk of 9 MiB and a bit: data, long and short holes, and a
// tail which is no multiple of the chunk size.
func testDisk(tb testing.TB) []byte {
	tb.Helper()
	disk := make([]byte, 9<<20+3*512)
	rng := rand.New(rand.NewPCG(1, 2))
	fill := func(from, to int) {
		for i := from; i < to; i++ {
			disk[i] = byte(rng.IntN(7)) * 31
		}
	}
	fill(0, 20<<10)
	fill(1<<20, 3<<20+77)
	fill(5<<20+300<<10, 5<<20+301<<10)
	fill(5<<20+400<<10, 5<<20+401<<10)
	fill(5<<20+900<<10, 5<<20+901<<10)
	fill(len(disk)-512, len(disk))
	return disk
}

func testTraits() master.Traits {
	return master.Traits{SectorBytes: 512, GrowPartition: "root", BootModes: []master.BootMode{master.BootBIOS, master.BootUEFI},
		FirstBoot: master.FirstBootCloudInit, RootFileSystem: "ext4"}
}

// pack makes a master of a disk in memory.
func pack(tb testing.TB, disk []byte) (*master.Manifest, []byte) {
	tb.Helper()
	var data bytes.Buffer
	m, err := master.Write(context.Background(), bytes.NewReader(disk), int64(len(disk)), &data,
		master.WriteOptions{Traits: testTraits(), ChunkBytes: 512 << 10})
	if err != nil {
		tb.Fatal(err)
	}
	return m, data.Bytes()
}

// layoutOf reads the layout of a data file.
func layoutOf(tb testing.TB, m *master.Manifest, data []byte) *master.Layout {
	tb.Helper()
	l, err := master.ReaderSource{Data: bytes.NewReader(data)}.Layout(context.Background(), m)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// wireBytes is the sum of the frames' lengths.
func wireBytes(m *master.Manifest, l *master.Layout) (sum int64) {
	for i := range m.Chunks {
		sum += l.Frame(i).Length
	}
	return sum
}

// newDevice makes a target file that holds old data, longer than the disk.
func newDevice(tb testing.TB, sizeBytes int64) (*master.Device, string) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "disk")
	if err := os.WriteFile(path, bytes.Repeat([]byte{0xEE}, int(sizeBytes)), 0o600); err != nil {
		tb.Fatal(err)
	}
	d, err := master.OpenDevice(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { d.Close() })
	return d, path
}
