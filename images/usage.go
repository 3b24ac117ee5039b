package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Usage is what a store holds, in bytes of its files.
type Usage struct {
	// Images is how many there are.
	Images int `json:"images"`
	// ChunkBytes is what their disks take, shared chunks once.
	ChunkBytes int64 `json:"chunkBytes"`
	// DerivedBytes is what can be made again.
	DerivedBytes int64 `json:"derivedBytes"`
	// DocumentBytes is manifests, files, boot tests and signatures.
	DocumentBytes int64 `json:"documentBytes"`
	// QuotaBytes is the most that the three may be together; 0 for no limit.
	QuotaBytes int64 `json:"quotaBytes,omitempty"`
}

// TotalBytes is what counts against the quota.
func (u Usage) TotalBytes() int64 { return u.ChunkBytes + u.DerivedBytes + u.DocumentBytes }

// Usage measures the store.
func (s *Store) Usage(ctx context.Context) (Usage, error) {
	u := Usage{QuotaBytes: s.quota.Load()}
	images, err := filepath.Glob(filepath.Join(s.blobs(), "*", imageName))
	if err != nil {
		return u, err
	}
	u.Images = len(images)
	for dir, to := range map[string]*int64{s.allDerived(): &u.DerivedBytes, s.blobs(): &u.DocumentBytes} {
		if *to, err = folderBytes(ctx, dir); err != nil {
			return u, fmt.Errorf("measure image store: %w", err)
		}
	}
	index, err := s.frameIndex()
	if err != nil {
		return u, fmt.Errorf("measure image store: %w", err)
	}
	for _, p := range index.packs {
		for _, e := range p.entries {
			u.ChunkBytes += e.length
		}
	}
	return u, nil
}

// folderBytes adds up the files below a folder. What goes meanwhile counts nothing.
func folderBytes(ctx context.Context, dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err := errors.Join(err, ctx.Err()); err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}
