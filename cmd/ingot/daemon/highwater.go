package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ingot/inventory"
)

// highwater keeps, beside the database, the number of the newest event that was ever
// stored. A database that has fewer was restored from a backup.
type highwater struct{ path string }

func (h highwater) read() (int64, error) {
	data, err := os.ReadFile(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read high-water mark: %w", err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read high-water mark %s: %w", h.path, err)
	}
	return n, nil
}

func (h highwater) write(seq int64) error {
	tmp, err := os.CreateTemp(filepath.Dir(h.path), ".highwater-*")
	if err != nil {
		return fmt.Errorf("write high-water mark: %w", err)
	}
	_, err = fmt.Fprintf(tmp, "%d\n", seq)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), h.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write high-water mark: %w", err), os.Remove(tmp.Name()))
	}
	return nil
}

// follow raises the mark with every order and state change: what a restored backup must
// not repeat.
func (h highwater) follow(ctx context.Context, s inventory.Store, after int64) error {
	return s.Follow(ctx, after, func(e inventory.Event) error {
		switch e.Kind {
		case inventory.EventOrdered, inventory.EventState, inventory.EventPhase, inventory.EventWritten:
			return h.write(e.Seq)
		}
		return nil
	})
}
