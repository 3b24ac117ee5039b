package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ingot/images"
	"ingot/images/master"
)

// built is what all tests share: the programs, and a data directory with boot files and
// images, made once.
var built struct {
	dir, ingot, seedData string
}

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("INGOT_TEST_E2E") == "" || testing.Short() {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "ingot-e2e-")
	if err == nil {
		err = prepare(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "prepare:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "clean up:", err)
	}
	os.Exit(code)
}

// need skips a test where the tier isn't asked for.
func need(t *testing.T) {
	t.Helper()
	if os.Getenv("INGOT_TEST_E2E") == "" {
		t.Skip("end-to-end tests run with INGOT_TEST_E2E=1 (scripts/test)")
	}
	if os.Getuid() != 0 {
		t.Skip("end-to-end tests need root")
	}
}

// prepare builds the programs, boot files and images. Boot files and images are kept in
// the cache for the next run; both are keyed by their own content.
func prepare(dir string) error {
	built.dir, built.ingot = dir, filepath.Join(dir, "ingot")
	cache := os.Getenv("INGOT_TEST_CACHE")
	if cache == "" {
		return fmt.Errorf("INGOT_TEST_CACHE is not set (scripts/test sets it)")
	}
	cache, err := filepath.Abs(cache)
	if err != nil {
		return err
	}
	built.seedData = filepath.Join(cache, "data")
	if err := os.MkdirAll(built.seedData, 0o755); err != nil {
		return err
	}
	root := filepath.Join("..", "..")
	for _, args := range [][]string{
		{"go", "build", "-o", built.ingot, "./cmd/ingot"},
		{"go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "ingot-agent"), "./cmd/ingot-agent"},
		{built.ingot, "agent", "build", "--untested", "--data", built.seedData},
		{built.ingot, "image", "build", "tiny", "--untested", "--data", built.seedData},
		{built.ingot, "image", "build", "test/e2e/testdata/tiny-4k.yaml", "--untested", "--data", built.seedData},
		{built.ingot, "image", "build", "debian-12", "--untested", "--data", built.seedData},
	} {
		if err := step(root, cache, args); err != nil {
			return err
		}
	}
	return bulkyImage(dir)
}

// bulkyBytes of random data make writing the bulky image long enough to be interrupted.
const bulkyBytes = 700 << 20

// bulkyImage stores the tiny image with random bytes behind its partitions.
func bulkyImage(dir string) error {
	ctx := context.Background()
	store, err := images.NewStore(filepath.Join(built.seedData, "images"))
	if err != nil {
		return err
	}
	if _, err := store.Get(ctx, "bulky"); err == nil {
		return nil
	}
	tiny, err := store.Get(ctx, "tiny")
	if err != nil {
		return err
	}
	m, err := store.Open(tiny.Digest)
	if err != nil {
		return err
	}
	defer m.Close()
	raw := filepath.Join(dir, "bulky.raw")
	disk, err := master.CreateFile(raw, m.Manifest.LogicalBytes+bulkyBytes)
	if err != nil {
		return err
	}
	defer os.Remove(raw)
	_, err = m.Apply(ctx, disk, master.ApplyOptions{})
	if err == nil {
		err = fillRandom(disk, m.Manifest.LogicalBytes)
	}
	if err = errors.Join(err, disk.Close()); err != nil {
		return err
	}
	_, err = store.Import(ctx, raw, images.ImportOptions{Name: "bulky", Format: images.FormatRaw, Traits: m.Manifest.Traits, Channels: []string{"stable"}})
	return err
}

func fillRandom(w io.WriterAt, offset int64) error {
	rng := rand.NewChaCha8([32]byte{1})
	buf := make([]byte, 1<<20)
	for n := int64(0); n < bulkyBytes; n += int64(len(buf)) {
		if _, err := rng.Read(buf); err != nil {
			return err
		}
		if _, err := w.WriteAt(buf, offset+n); err != nil {
			return err
		}
	}
	return nil
}

func step(dir, cache string, args []string) error {
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "INGOT_CACHE="+cache)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%v: %w\n%s", args, err, out)
	}
	return nil
}
