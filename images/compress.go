package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"ingot/images/master"
)

// Compress compresses what imports left for later (see [ImportOptions]), pack by pack, and
// returns when all is done, also by another process that is at it. Images can be read all
// the time: the old packs go when nobody reads them any more, in this call or in a later
// one. Cut short it loses nothing. progress is told of bytes of a pack, from one goroutine;
// nil is allowed.
func (s *Store) Compress(ctx context.Context, progress func(done, total int64)) (err error) {
	lock, err := os.OpenFile(filepath.Join(s.dir, compressLock), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("compress images: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err = waitFlock(ctx, lock); err == nil {
		err = s.compressAll(ctx, progress)
	}
	if err != nil {
		return fmt.Errorf("compress images: %w", err)
	}
	return nil
}

func (s *Store) compressAll(ctx context.Context, progress func(done, total int64)) error {
	for {
		number, err := s.plainPack()
		if err != nil {
			return err
		}
		if number == 0 {
			return s.locked(ctx, s.sweepPacks)
		}
		if err := s.guard(ctx, func(ctx context.Context) error { return s.compressPack(ctx, number, progress) }); err != nil {
			return err
		}
	}
}

// Uncompressed reports whether [Store.Compress] has work to do.
func (s *Store) Uncompressed() (bool, error) {
	left, err := s.leftPacks()
	if err != nil || len(left) > 0 {
		return len(left) > 0, err
	}
	number, err := s.plainPack()
	return number > 0, err
}

// plainPack is the number of a pack to compress, 0 for none.
func (s *Store) plainPack() (int, error) {
	index, err := s.reloadIndex()
	if err != nil {
		return 0, err
	}
	for _, number := range index.numbers() {
		if index.packs[number].plain {
			return number, nil
		}
	}
	return 0, nil
}

// compressPack puts the frames of a pack anew. What is damaged of it stays.
func (s *Store) compressPack(ctx context.Context, number int, progress func(done, total int64)) (err error) {
	st, err := s.newStaging(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.discard()) }()
	var done, total int64
	for _, e := range st.index.packs[number].entries {
		total += e.length
	}
	came := func(bytes int64) {
		if done += bytes; progress != nil {
			progress(done, total)
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	arrivals := make(chan *arrival, 4*runtime.GOMAXPROCS(0))
	group.Go(func() error { return st.putInOrder(groupCtx, arrivals, came) })
	group.Go(func() error {
		defer close(arrivals)
		return st.compress(groupCtx, number, arrivals)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return s.keepCompressed(ctx, st, number)
}

// compress makes the frames anew, on half of the processors: who boots from here needs the
// others.
func (st *staging) compress(ctx context.Context, number int, arrivals chan<- *arrival) error {
	c, err := master.NewCompressor(0)
	if err != nil {
		return err
	}
	defer c.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, runtime.GOMAXPROCS(0)/2))
	for _, e := range st.index.packs[number].entries {
		a := &arrival{name: e.sum, bytes: e.length, done: make(chan struct{})}
		select {
		case arrivals <- a:
		case <-ctx.Done():
			return group.Wait()
		}
		group.Go(func() error {
			frame, err := st.store.readPlace(location{number, e.offset, e.length})
			if err != nil {
				return err
			}
			if packed, err := c.Compress(e.sum, frame); err == nil { // a damaged one stays
				a.frame = packed
			}
			close(a.done)
			return nil
		})
	}
	return group.Wait()
}

// keepCompressed makes the new pack the store's, and no longer the old one.
func (s *Store) keepCompressed(ctx context.Context, st *staging, old int) error {
	if err := st.sync(); err != nil {
		return err
	}
	return s.locked(ctx, func() error {
		if err := st.keepPack(); err != nil {
			return err
		}
		if err := s.settlePack(old); err != nil {
			return err
		}
		moved := frames{}
		for _, e := range st.index.packs[old].entries {
			moved[e.sum] = struct{}{}
		}
		return s.renewSizes(ctx, moved)
	})
}

// settlePack has what is left of a pack, because it is damaged, count as compressed.
func (s *Store) settlePack(number int) error {
	index, err := s.reloadIndex()
	if err != nil {
		return err
	}
	pack, there := index.packs[number]
	if !there || !pack.plain {
		return nil
	}
	return replaceIndex(s.packFile(number, packIndexSuffix), packContent{entries: pack.entries})
}
