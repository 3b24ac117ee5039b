package daemon

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"ingot/inventory"
)

// lockData makes sure that one server at a time uses a data directory. The lock goes
// with the process, however it ends.
func lockData(dir string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		pid, _ := io.ReadAll(io.LimitReader(f, 32)) // for the text alone
		_ = f.Close()
		return nil, fmt.Errorf("data directory %s is in use by another ingot serve (process %s): stop it, or give --data: %w",
			dir, strings.TrimSpace(string(pid)), inventory.ErrBusy)
	}
	if err := f.Truncate(0); err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if _, err := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	return f, nil
}
