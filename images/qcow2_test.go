package images

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// patchwork is a disk of noise, text and holes, and a size that is no whole cluster.
func patchwork(t testing.TB) []byte {
	disk := make([]byte, 9<<20+512*3)
	rng := rand.New(rand.NewPCG(9, 9))
	for at := 0; at < len(disk); at += 48 << 10 {
		part := disk[at:min(at+48<<10, len(disk))]
		switch rng.IntN(3) {
		case 0:
			for i := range part {
				part[i] = byte(rng.Uint32())
			}
		case 1:
			copy(part, bytes.Repeat([]byte("some text that compresses "), len(part)/26))
		}
	}
	return disk
}

func TestQcow2Reads(t *testing.T) {
	if _, err := exec.LookPath("qemu-img"); err != nil {
		t.Skipf("needs qemu-img: %v", err)
	}
	disk := patchwork(t)
	raw := filepath.Join(t.TempDir(), "raw")
	if err := os.WriteFile(raw, disk, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"plain":            nil,
		"version 2":        {"-o", "compat=0.10"},
		"small clusters":   {"-o", "cluster_size=512"},
		"large clusters":   {"-o", "cluster_size=2M"},
		"zlib":             {"-c"},
		"zlib, small":      {"-c", "-o", "cluster_size=4k"},
		"zstd":             {"-c", "-o", "compression_type=zstd"},
		"preallocated":     {"-o", "preallocation=metadata"},
		"data, full":       {"-S", "0"},
		"out of order":     {"-W", "-m", "8"},
		"lazy refcounts":   {"-o", "lazy_refcounts=on"},
		"small references": {"-o", "refcount_bits=1"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "q")
			if out, err := exec.Command("qemu-img", append(append([]string{"convert", "-f", "raw", "-O", "qcow2"}, args...), raw, path)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			q := openTestQcow2(t, path)
			if q.size != int64(len(disk)) {
				t.Fatalf("size %d, want %d", q.size, len(disk))
			}
			got, err := io.ReadAll(io.NewSectionReader(q, 0, q.size))
			if err != nil || !bytes.Equal(got, disk) {
				t.Errorf("the disk differs: %v", err)
			}
			rng := rand.New(rand.NewPCG(1, 1))
			for range 50 {
				at, buf := rng.IntN(len(disk)), make([]byte, rng.IntN(1<<20))
				n, err := q.ReadAt(buf, int64(at))
				if want := disk[at:min(at+len(buf), len(disk))]; !bytes.Equal(buf[:n], want) || (err == io.EOF) != (n < len(buf)) {
					t.Fatalf("%d bytes at %d: %d, %v", len(buf), at, n, err)
				}
			}
			wantHoles(t, q, disk)
		})
	}
}

// wantHoles walks what is said to be data: what is left out must be zero.
func wantHoles(t *testing.T, q *qcow2, disk []byte) {
	t.Helper()
	zeros := make([]byte, len(disk))
	for at := int64(0); at < q.size; at += 512 {
		next, err := q.NextData(at)
		if err != nil {
			t.Fatal(err)
		}
		if next > at && !bytes.Equal(disk[at:next], zeros[at:next]) {
			t.Fatalf("%d to %d is said to be a hole", at, next)
		}
		at = max(at, next-512)
	}
}

func openTestQcow2(t testing.TB, path string) *qcow2 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	q, err := openQcow2(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// FuzzQcow2 reads hostile files: whatever they say, reads end and stay in bounds.
func FuzzQcow2(f *testing.F) {
	small := make([]byte, 3*512)
	copy(small, "QFI\xfb\x00\x00\x00\x03")
	small[23], small[30], small[39], small[46] = 9, 4, 1, 2 // clusters of 512, 1 KiB, one table at 512
	small[512+6] = 4
	f.Add(small)
	f.Add([]byte("QFI\xfb"))
	f.Fuzz(func(t *testing.T, file []byte) {
		q, err := openQcow2(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		buf := make([]byte, 64<<10)
		for _, at := range []int64{0, q.size / 2, max(q.size-100, 0)} {
			if n, err := q.ReadAt(buf, at); err == nil && n < len(buf) {
				t.Fatalf("%d bytes and no error", n)
			}
		}
		if q.size < 1<<30 {
			if at, err := q.NextData(0); err == nil && at > q.size {
				t.Fatalf("data at %d of %d", at, q.size)
			}
		}
	})
}
