package cli

import (
	"fmt"
	"os"
	"path/filepath"
)

// isFile tells a path of a file that is there, and makes it absolute.
func isFile(name string) (string, bool) {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return "", false
	}
	path, err := filepath.Abs(name)
	return path, err == nil
}

// existingData refuses a data directory that is not there, for verbs that make nothing in
// it: they would leave an empty one, and say that what they look for is not found.
func existingData(dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("no data directory %s (--data): %w", dir, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("--data %s is no directory", dir)
	}
	return nil
}

// scratchDir is a folder for work that is thrown away; done removes it.
func scratchDir() (dir string, done func(), err error) {
	if dir, err = os.MkdirTemp("", "ingot-"); err != nil {
		return "", nil, fmt.Errorf("make a folder for the work: %w", err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil // what can't be removed is the system's to sweep
}
