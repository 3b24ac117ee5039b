package master_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"ingot/images/master"
)

// BenchmarkApply writes the raw disk that INGOT_BENCH_RAW names, from HTTP on
// loopback to a file or to the block device that INGOT_BENCH_DISK names. With no
// raw disk it makes one of noise and holes.
func BenchmarkApply(b *testing.B) {
	raw := benchDisk(b)
	dataPath := filepath.Join(b.TempDir(), "data")
	m := benchWrite(b, raw, dataPath)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, dataPath) }))
	defer server.Close()
	b.SetBytes(m.LogicalBytes)
	b.Logf("%d chunks: %d bytes on the disk", len(m.Chunks), m.ChunkedBytes())
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		target := benchTarget(b, m.LogicalBytes)
		b.StartTimer()
		if _, err := master.Apply(context.Background(), m, master.HTTPSource{URL: server.URL}, target, master.ApplyOptions{}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := target.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkWrite makes a master of the same disk.
func BenchmarkWrite(b *testing.B) {
	raw := benchDisk(b)
	for range b.N {
		m := benchWrite(b, raw, filepath.Join(b.TempDir(), "data"))
		b.SetBytes(m.LogicalBytes)
		b.ReportMetric(float64(len(m.Chunks)), "chunks")
	}
}

func benchDisk(b *testing.B) *os.File {
	path := os.Getenv("INGOT_BENCH_RAW")
	if path == "" {
		path = filepath.Join(b.TempDir(), "raw")
		if err := os.WriteFile(path, testDisk(b), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return f
}

func benchWrite(b *testing.B, raw *os.File, path string) *master.Manifest {
	info, err := raw.Stat()
	if err != nil {
		b.Fatal(err)
	}
	out, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	m, err := master.Write(context.Background(), raw, info.Size(), out, master.WriteOptions{Traits: testTraits()})
	if err != nil {
		b.Fatal(err)
	}
	return m
}

func benchTarget(b *testing.B, sizeBytes int64) *master.Device {
	path := os.Getenv("INGOT_BENCH_DISK")
	if path == "" {
		d, err := master.CreateFile(filepath.Join(b.TempDir(), "disk"), sizeBytes)
		if err != nil {
			b.Fatal(err)
		}
		return d
	}
	d, err := master.OpenDevice(path)
	if err != nil {
		b.Fatal(err)
	}
	return d
}
