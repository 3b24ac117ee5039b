package images

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ingot/inventory"
)

// SetQuota bounds what the store may hold (see [Usage]); 0 is no limit. An import that
// would pass it makes room by removing derived files that nobody used lately, and else
// ends with an inventory.ErrConflict.
func (s *Store) SetQuota(bytes int64) { s.quota.Store(max(bytes, 0)) }

// unusedFor is how long a derived file was not asked for when it may go.
const unusedFor = time.Hour

// room bounds what one import adds. nil bounds nothing.
type room struct {
	store *Store

	mu    sync.Mutex
	left  int64
	quota int64 // 0: no bound
}

func (s *Store) newRoom(ctx context.Context) (*room, error) {
	r := &room{store: s, quota: s.quota.Load()}
	if r.quota == 0 {
		return r, nil
	}
	usage, err := s.Usage(ctx)
	r.left = r.quota - usage.TotalBytes()
	return r, err
}

// take is asked before bytes are added.
func (r *room) take(bytes int64) error {
	if r == nil || r.quota == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left < bytes {
		freed, err := r.store.evict(bytes - r.left)
		if r.left += freed; err != nil {
			return err
		}
	}
	if r.left < bytes {
		return fmt.Errorf("the image store's quota of %s is used up (%s are left, nothing derived can go): remove images (ingot image gc) or raise the quota: %w",
			inventory.FormatBytes(r.quota), inventory.FormatBytes(max(r.left, 0)), inventory.ErrConflict)
	}
	r.left -= bytes
	return nil
}

// hasRoom reports whether bytes fit in, whatever can be said of their file system and of
// the quota before.
func (st *staging) hasRoom(bytes int64) bool {
	if r := st.room; r != nil && r.quota > 0 && r.left < bytes {
		return false
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(st.store.dir, &fs); err != nil {
		return false
	}
	return fs.Bavail*uint64(fs.Bsize) > uint64(bytes)+reserveOf(fs)
}

// evict removes derived files, those unused for longest first, until want bytes are free.
func (s *Store) evict(want int64) (freed int64, err error) {
	folders, err := os.ReadDir(s.allDerived())
	if err != nil {
		return 0, err
	}
	type old struct {
		path string
		used time.Time
	}
	var all []old
	for _, e := range folders {
		path := filepath.Join(s.allDerived(), e.Name())
		info, err := os.Stat(filepath.Join(path, derivedName))
		if err == nil && s.now().Sub(info.ModTime()) >= unusedFor {
			all = append(all, old{path, info.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b old) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.path, b.path)) })
	for _, o := range all {
		if freed >= want {
			break
		}
		size, err := folderBytes(context.Background(), o.path)
		if err := errors.Join(err, s.removeDerived(o.path)); err != nil {
			return freed, err
		}
		freed += size
	}
	return freed, nil
}

// reserveOf is what imports leave free of a file system: 2 %, at most 1 GiB. Other
// programs, and the machine's database, need room too.
func reserveOf(fs unix.Statfs_t) uint64 { return min(fs.Blocks*uint64(fs.Bsize)/50, 1<<30) }

// watchEvery is how often the free space is looked at while an import runs.
const watchEvery = 100 * time.Millisecond

// guard runs work, and cancels it when the file system of the store is nearly full. What
// it returns then is unix.ENOSPC with the numbers.
func (s *Store) guard(ctx context.Context, work func(context.Context) error) error {
	if err := s.enoughSpace(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := s.enoughSpace(); err != nil {
				cancel(err)
				return
			}
		}
	})
	err := work(ctx)
	cause := context.Cause(ctx)
	cancel(nil)
	watching.Wait()
	if err != nil && errors.Is(cause, unix.ENOSPC) {
		return cause
	}
	return err
}

func (s *Store) enoughSpace() error {
	var fs unix.Statfs_t
	if err := unix.Statfs(s.dir, &fs); err != nil {
		return fmt.Errorf("free space of %s: %w", s.dir, err)
	}
	if free, reserve := fs.Bavail*uint64(fs.Bsize), reserveOf(fs); free < reserve {
		return fmt.Errorf("%s are left on its file system, imports leave %s: %w", inventory.FormatBytes(int64(free)), inventory.FormatBytes(int64(reserve)), unix.ENOSPC)
	}
	return nil
}
