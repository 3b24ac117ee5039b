package images_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ingot/images"
	"ingot/images/master"
)

// BenchmarkImportQcow2 imports the qcow2 that INGOT_BENCH_QCOW2 names, in turn with
// "qemu-img convert -W -O raw" of the same file, and reports both and the ratio.
func BenchmarkImportQcow2(b *testing.B) {
	path := os.Getenv("INGOT_BENCH_QCOW2")
	if path == "" {
		b.Skip("INGOT_BENCH_QCOW2 names no file")
	}
	var ours, theirs time.Duration
	for range b.N {
		dir := b.TempDir()
		begun := time.Now()
		if out, err := exec.Command("qemu-img", "convert", "-W", "-f", "qcow2", "-O", "raw", path, filepath.Join(dir, "raw")).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		theirs += time.Since(begun)
		if err := os.Remove(filepath.Join(dir, "raw")); err != nil {
			b.Fatal(err)
		}
		store, err := images.NewStore(filepath.Join(dir, "store"))
		if err != nil {
			b.Fatal(err)
		}
		begun = time.Now()
		if _, err := store.Import(b.Context(), path, images.ImportOptions{Name: "bench", Traits: master.Traits{SectorBytes: 512, FirstBoot: master.FirstBootNone}}); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(begun)
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(ours.Seconds()/float64(b.N), "import-s")
	b.ReportMetric(theirs.Seconds()/float64(b.N), "qemu-img-s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "x-speed")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkVersions imports the raw disks that INGOT_BENCH_VERSIONS names, separated by
// colons, and reports what the last one adds to the store.
func BenchmarkVersions(b *testing.B) {
	paths := filepath.SplitList(os.Getenv("INGOT_BENCH_VERSIONS"))
	if len(paths) < 2 {
		b.Skip("INGOT_BENCH_VERSIONS names no two files")
	}
	for range b.N {
		store, err := images.NewStore(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		before, after := images.Usage{}, images.Usage{}
		for _, path := range paths {
			before = after
			if _, err := store.Import(b.Context(), path, images.ImportOptions{Name: "bench", Format: images.FormatRaw, Traits: master.Traits{SectorBytes: 512, FirstBoot: master.FirstBootNone}}); err != nil {
				b.Fatal(err)
			}
			if after, err = store.Usage(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(after.ChunkBytes-before.ChunkBytes), "added-chunk-B")
		b.ReportMetric(float64(after.DocumentBytes-before.DocumentBytes), "added-document-B")
		b.ReportMetric(float64(before.ChunkBytes), "before-chunk-B")
		b.ReportMetric(100*float64(after.TotalBytes()-before.TotalBytes())/float64(before.TotalBytes()), "added-%")
	}
}
