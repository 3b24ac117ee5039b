package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// scratchPrefix and the file that a running build keeps locked in its folder.
const (
	scratchPrefix = "build-"
	scratchLock   = ".lock"
)

// scratch makes a build's folder, after removing those of builds that were killed.
func scratch(ctx context.Context, parent string) (dir string, release func() error, err error) {
	if parent == "" {
		parent = os.TempDir()
	}
	if parent, err = filepath.Abs(parent); err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", nil, err
	}
	if err := sweep(ctx, parent); err != nil {
		return "", nil, err
	}
	if dir, err = os.MkdirTemp(parent, scratchPrefix); err != nil {
		return "", nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, scratchLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = errors.Join(unix.Flock(int(lock.Fd()), unix.LOCK_EX), os.Chmod(dir, 0o755)) // apt and mmdebstrap work as other users
	}
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, func() error { return errors.Join(removeAll(context.WithoutCancel(ctx), dir), lock.Close()) }, nil
}

// sweep removes the folders of builds that are not running.
func sweep(ctx context.Context, parent string) error {
	stale, err := filepath.Glob(filepath.Join(parent, scratchPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range stale {
		lock, err := os.OpenFile(filepath.Join(dir, scratchLock), os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue // just being made, or not a build's
		}
		if err != nil {
			return fmt.Errorf("sweep builds that were killed: %w", err)
		}
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			err = removeAll(ctx, dir)
		}
		lock.Close()
		if err != nil && !errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("sweep builds that were killed: %w", err)
		}
	}
	return nil
}

// removeAll removes a folder. Files in it may belong to users of a user namespace.
func removeAll(ctx context.Context, dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || os.Geteuid() == 0 {
		return err
	}
	out, nsErr := exec.CommandContext(ctx, "unshare", "--map-root-user", "--map-auto", "rm", "-rf", "--one-file-system", dir).CombinedOutput()
	if nsErr == nil {
		return os.RemoveAll(dir)
	}
	return fmt.Errorf("%w; in a user namespace: %w: %s", err, nsErr, strings.TrimSpace(string(out)))
}
