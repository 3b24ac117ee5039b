package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// built is what all tests share: the programs, and a data directory with boot files and
// images, made once.
var built struct {
	dir, ingot, seedData string
}

func TestMain(m *testing.M) {
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
		{built.ingot, "agent", "build", "--data", built.seedData},
		{built.ingot, "image", "build", "tiny", "--data", built.seedData},
		{built.ingot, "image", "build", "debian-12", "--data", built.seedData},
	} {
		if err := step(root, cache, args); err != nil {
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
