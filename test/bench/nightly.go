package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ingot/images"
)

// nightlyBytes is how large the tree of a nightly is.
const nightlyBytes = 200 << 20

// nightly imports two file systems: of files of a real system, and of the same when 1 % of
// the bytes are in files that changed.
func (b *bench) nightly(ctx context.Context) (values, error) {
	dir := filepath.Join(b.scratch, "nightly")
	tree := filepath.Join(dir, "tree")
	if err := copyTree("/usr/lib", tree, nightlyBytes); err != nil {
		return nil, err
	}
	store, err := images.NewStore(filepath.Join(dir, "store"))
	if err != nil {
		return nil, err
	}
	var used [2]int64
	for version := range used {
		disk := filepath.Join(dir, "disk")
		if _, _, err := b.command(ctx, []string{"E2FSPROGS_FAKE_TIME=1700000000"}, "mke2fs", "-q", "-F", "-t", "ext4", "-U", "11111111-2222-4333-8444-555555555555",
			"-E", "hash_seed=11111111-2222-4333-8444-555555555555", "-d", tree, disk, "400M"); err != nil {
			return nil, err
		}
		if _, err := store.Import(ctx, disk, rawOptions(images.FormatRaw)); err != nil {
			return nil, err
		}
		usage, err := store.Usage(ctx)
		if err != nil {
			return nil, err
		}
		used[version] = usage.TotalBytes()
		if err := errors.Join(os.Remove(disk), changeFiles(tree, nightlyBytes/100)); err != nil {
			return nil, err
		}
	}
	return values{"added": 100 * float64(used[1]-used[0]) / float64(used[0])}, os.RemoveAll(dir)
}

// copyTree copies regular files until they have so many bytes.
func copyTree(from, to string, bytes int64) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes -= int64(len(data)); bytes < 0 {
			return fs.SkipAll
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		return errors.Join(os.MkdirAll(filepath.Dir(target), 0o755), os.WriteFile(target, data, 0o644))
	})
}

// changeFiles changes one file in twenty, up to so many bytes in all: in each sector of it
// a few bytes, so that it compresses as before. Files that are a tenth of that are left out.
func changeFiles(tree string, bytes int64) error {
	limit, seen := bytes/10, 0
	return filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if seen++; seen%20 != 0 || info.Size() > limit {
			return nil
		}
		if bytes -= info.Size(); bytes < 0 {
			return fs.SkipAll
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for at := 0; at < len(data); at += 512 {
			copy(data[at:], "changed")
		}
		return os.WriteFile(path, data, 0o644)
	})
}
