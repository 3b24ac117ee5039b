package sqlstore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ingot/inventory"
)

// TestCheckpoint: what was committed reaches the database file while the store is open,
// and its log stays bounded under constant writes.
func TestCheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ingot.db")
	s, err := OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	long := make([]byte, 60<<10)
	for i := range 1000 {
		err := s.Update(t.Context(), func(x inventory.Tx) error {
			return x.PutSetting(t.Context(), fmt.Sprint("key", i%10), string(long))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path + "-wal")
	if err != nil || info.Size() > 48<<20 {
		t.Errorf("the log has %d bytes, %v", info.Size(), err)
	}
	waitCheckpoint(t, path)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// waitCheckpoint waits until the database file has what was written.
func waitCheckpoint(t *testing.T, path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 500<<10 { // ten values of 60 KiB
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the database has %d bytes", info.Size())
		}
	}
}
