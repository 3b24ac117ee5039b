package build_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ingot/images/build"
)

// needTools skips a test that builds.
func needTools(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds an image: not with -short")
	}
	if os.Geteuid() != 0 {
		t.Skip("builds an image as root")
	}
	if err := build.CheckTools(); err != nil {
		t.Skip(err)
	}
}

// cacheDir is a cache that tests share, so that the archive is asked once.
func cacheDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../.cache/test/build")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// hashDisk builds a recipe and returns the SHA-256 of the raw disk. A name keeps the disk.
func hashDisk(t *testing.T, r build.Recipe, o build.Options) (sum string, result build.Result) {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Log == nil {
		o.Log = logFile(t)
	}
	err := build.Build(t.Context(), r, o, func(_ context.Context, got build.Result) error {
		result = got
		f, err := os.Open(got.Raw)
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		_, err = io.Copy(h, f)
		sum = fmt.Sprintf("%x", h.Sum(nil))
		if keep := os.Getenv("INGOT_KEEP_DISKS"); keep != "" && err == nil {
			err = os.Link(got.Raw, filepath.Join(keep, r.Name+"-"+sum[:12]+".raw"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum, result
}

// logFile takes a build's log, and shows its end when the test fails.
func logFile(t *testing.T) io.Writer {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer f.Close()
		data, _ := os.ReadFile(f.Name())
		if t.Failed() {
			t.Logf("log:\n%s", data[max(0, len(data)-4000):])
		}
	})
	return f
}

func recipe(t *testing.T, name string) build.Recipe {
	t.Helper()
	r, err := build.EmbeddedRecipe(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTinyIsReproducible(t *testing.T) {
	needTools(t)
	t.Parallel()
	r := recipe(t, "tiny")
	first, a := hashDisk(t, r, build.Options{Cache: cacheDir(t)})
	second, b := hashDisk(t, r, build.Options{Cache: cacheDir(t), Pinned: &a.Inputs})
	if first != second {
		t.Errorf("two builds of tiny differ: %s and %s", first, second)
	}
	if a.Inputs.Digest() != b.Inputs.Digest() {
		t.Errorf("inputs differ: %v and %v", a.Inputs.Digest(), b.Inputs.Digest())
	}
}

func TestDebianIsReproducible(t *testing.T) {
	needTools(t)
	if os.Getenv("INGOT_BUILD_TEST") == "" {
		t.Skip("builds Debian twice, some minutes: set INGOT_BUILD_TEST=1")
	}
	r := recipe(t, "debian-12")
	began := time.Now()
	first, a := hashDisk(t, r, build.Options{Cache: cacheDir(t)})
	t.Logf("a build took %s", time.Since(began))
	began = time.Now()
	second, _ := hashDisk(t, r, build.Options{Cache: cacheDir(t), Pinned: &a.Inputs})
	t.Logf("a pinned build took %s", time.Since(began))
	if first != second {
		t.Errorf("two builds of debian-12 differ: %s and %s", first, second)
	}
}

// TestExamples builds those of the example recipes that can be built here and are not built
// by other tests.
func TestExamples(t *testing.T) {
	needTools(t)
	if os.Getenv("INGOT_BUILD_TEST") == "" {
		t.Skip("builds several Debians, some minutes: set INGOT_BUILD_TEST=1")
	}
	for _, name := range []string{"debian-12-web", "debian-13"} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			sum, result := hashDisk(t, recipe(t, name), build.Options{Cache: cacheDir(t)})
			t.Logf("%s of %d packages in %s", sum, len(result.Inputs.Packages), time.Since(began).Round(time.Second))
		})
	}
}
