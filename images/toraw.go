package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ToRaw writes the disk in a file of a format that QEMU knows (qcow2, vmdk, vhdx) to a new
// raw file, for what boots a disk before it is an image. It errors with
// inventory.ErrInvalid when the file is of another format, damaged, cut short, larger than
// 1 TiB or needs other files; nothing is left at raw then.
func ToRaw(ctx context.Context, path string, format Format, raw string) error {
	if err := toRaw(ctx, path, format, raw); err != nil {
		return fmt.Errorf("convert %s to a raw disk: %w", filepath.Base(path), errors.Join(err, removeIfThere(raw)))
	}
	return nil
}

func toRaw(ctx context.Context, path string, format Format, raw string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	head, err := readHead(f)
	if err != nil {
		return err
	}
	if err := checkHead(format, f, head); err != nil {
		return err
	}
	return convert(ctx, format, path, raw, defaultMaxBytes)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
