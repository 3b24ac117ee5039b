package master_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	seekable "github.com/SaveTheRbtz/zstd-seekable-format-go/pkg"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"ingot/images/master"
)

func TestWriteIsDeterministic(t *testing.T) {
	disk := testDisk(t)
	sparse := filepath.Join(t.TempDir(), "sparse")
	f, err := os.Create(sparse)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at := 0; at < len(disk); at += 4096 {
		block := disk[at:min(at+4096, len(disk))]
		if len(bytes.Trim(block, "\x00")) > 0 {
			if _, err := f.WriteAt(block, int64(at)); err != nil {
				t.Fatal(err)
			}
		}
	}
	want, wantData := pack(t, disk)
	for _, workers := range []int{1, 2, 7} {
		var data bytes.Buffer
		opts := master.WriteOptions{Traits: testTraits(), ChunkBytes: 512 << 10, Workers: workers}
		got, err := master.Write(context.Background(), f, int64(len(disk)), &data, opts)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d workers: manifest (-memory +sparse file):\n%s", workers, diff)
		}
		if !bytes.Equal(data.Bytes(), wantData) {
			t.Errorf("%d workers: data file differs", workers)
		}
	}
}

func TestWriteLeavesHolesOut(t *testing.T) {
	m, data := pack(t, testDisk(t))
	if got, want := m.ChunkedBytes(), int64(3<<20); got > want {
		t.Errorf("chunks hold %d bytes, want at most %d", got, want)
	}
	if l := layoutOf(t, m, data); l.SizeBytes() != int64(len(data)) {
		t.Errorf("the layout has %d bytes, the file %d", l.SizeBytes(), len(data))
	}
}

// TestWriteUncompressed makes the same image of frames that hold the bytes as they are.
func TestWriteUncompressed(t *testing.T) {
	disk := testDisk(t)
	want, packed := pack(t, disk)
	var data bytes.Buffer
	opts := master.WriteOptions{Traits: testTraits(), ChunkBytes: 512 << 10, Uncompressed: true}
	m, err := master.Write(context.Background(), bytes.NewReader(disk), int64(len(disk)), &data, opts)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("manifest (-compressed +not):\n%s", diff)
	}
	if layoutOf(t, m, data.Bytes()).Tag() == layoutOf(t, m, packed).Tag() {
		t.Error("both layouts have the same tag")
	}
	wantPeers(t, m, data.Bytes(), disk)
}

// TestWriteLeavesOut makes no frame of what is kept already.
func TestWriteLeavesOut(t *testing.T) {
	disk := testDisk(t)
	want, _ := pack(t, disk)
	kept := newFrames()
	opts := master.WriteOptions{Traits: testTraits(), ChunkBytes: 512 << 10, Have: func(sum master.Digest, rawBytes int64) bool {
		return sum == want.Chunks[1].SHA256 && rawBytes == want.Chunks[1].Length
	}}
	m, err := master.WriteFrames(context.Background(), bytes.NewReader(disk), int64(len(disk)), kept.put, opts)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("manifest (-all +without one):\n%s", diff)
	}
	if _, there := kept.all[want.Chunks[1].SHA256]; there || len(kept.all) == 0 {
		t.Errorf("%d frames, with that of chunk 1: %v", len(kept.all), there)
	}
}

// TestZstdReadsMaster reads the data file with two peers: the zstd tool, and a
// reader of the seekable layout.
func TestZstdReadsMaster(t *testing.T) {
	disk := testDisk(t)
	m, data := pack(t, disk)
	wantPeers(t, m, data, disk)
}

func wantPeers(t *testing.T, m *master.Manifest, data, disk []byte) {
	t.Run("zstd", func(t *testing.T) {
		tool, err := exec.LookPath("zstd")
		if err != nil {
			t.Skip("the zstd tool is not installed")
		}
		cmd := exec.Command(tool, "-dc")
		cmd.Stdin = bytes.NewReader(data)
		got, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, disk) {
			t.Error("zstd -d gives other bytes than the raw disk")
		}
	})
	t.Run("seekable", func(t *testing.T) {
		dec, err := zstd.NewReader(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer dec.Close()
		r, err := seekable.NewReader(bytes.NewReader(data), dec)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got := make([]byte, m.LogicalBytes)
		if _, err := r.ReadAt(got, 0); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if !bytes.Equal(got, disk) {
			t.Error("the seekable reader gives other bytes than the raw disk")
		}
	})
}

func TestWriteRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		size int64
		opts master.WriteOptions
		raw  []byte
	}{
		{"no sector size", 1024, master.WriteOptions{Traits: master.Traits{FirstBoot: "none"}}, make([]byte, 1024)},
		{"no first boot", 1024, master.WriteOptions{Traits: master.Traits{SectorBytes: 512}}, make([]byte, 1024)},
		{"part of a sector", 1000, master.WriteOptions{Traits: testTraits()}, make([]byte, 1000)},
		{"odd chunk size", 1024, master.WriteOptions{Traits: testTraits(), ChunkBytes: 1000}, make([]byte, 1024)},
		{"raw file shorter than said", 4096, master.WriteOptions{Traits: testTraits()}, make([]byte, 1024)},
		{"unknown boot mode", 512, master.WriteOptions{Traits: master.Traits{SectorBytes: 512, FirstBoot: "none", BootModes: []master.BootMode{"floppy"}}}, make([]byte, 512)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := master.Write(context.Background(), bytes.NewReader(test.raw), test.size, io.Discard, test.opts); err == nil {
				t.Error("no error")
			} else {
				t.Log(err)
			}
		})
	}
}
