package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ingot/inventory"
)

const resultName = "result.json"

// AddTest keeps the outcome of a boot test with an image, and the files that show it, by
// name and path (console.log, screen.png). All of it appears at once. An ID that is taken
// is inventory.ErrConflict.
func (s *Store) AddTest(ctx context.Context, digest string, test inventory.ImageTest, files map[string]string) error {
	d, err := parse("add test of image", digest)
	if err != nil {
		return err
	}
	if err := checkFileName(test.ID); err != nil {
		return fmt.Errorf("id of the test: %w", err)
	}
	return s.addTo(ctx, d, testsFolder, test.ID, func(dir string) error { return writeTest(dir, test, files) })
}

func writeTest(dir string, test inventory.ImageTest, files map[string]string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for name, path := range files {
		if err := checkFileName(name); err != nil {
			return err
		}
		to := filepath.Join(dir, name)
		if err := copyFile(nil, path, to); err != nil {
			return fmt.Errorf("keep %s: %w", name, err)
		}
		if err := syncDir(to); err != nil {
			return err
		}
	}
	document, err := json.MarshalIndent(test, "", " ")
	if err != nil {
		return err
	}
	return errors.Join(writeSynced(filepath.Join(dir, resultName), document), syncDir(dir))
}

// TestFile opens a file of a boot test. It is inventory.ErrNotFound when there is none.
func (s *Store) TestFile(digest, id, name string) (*os.File, error) {
	dir, err := s.inImage("open file of boot test", digest)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(checkFileName(id), checkFileName(name)); err != nil {
		return nil, err
	}
	return openFile(filepath.Join(dir, testsFolder, id, name), id+"/"+name, digest)
}

// readTests reads the boot tests in an image's folder, oldest first.
func readTests(dir string) ([]inventory.ImageTest, error) {
	entries, err := os.ReadDir(filepath.Join(dir, testsFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read boot tests: %w", err)
	}
	var tests []inventory.ImageTest
	for _, e := range entries {
		path := filepath.Join(dir, testsFolder, e.Name(), resultName)
		document, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read boot test: %w", err)
		}
		var test inventory.ImageTest
		if err := json.Unmarshal(document, &test); err != nil {
			return nil, fmt.Errorf("read boot test %s: %w", path, err)
		}
		tests = append(tests, test)
	}
	slices.SortStableFunc(tests, func(a, b inventory.ImageTest) int {
		if by := a.Started.Compare(b.Started); by != 0 {
			return by
		}
		return strings.Compare(a.ID, b.ID)
	})
	return tests, nil
}
