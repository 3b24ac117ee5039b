package main

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// copyData FILE DEVICE: what no imaging can be faster than, the data of a sparse file from
// the page cache onto a disk.
func copyData(args []string) (err error) {
	if len(args) != 2 {
		return errors.New("usage: benchpart copy FILE DEVICE")
	}
	from, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(args[1], os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	for at := int64(0); ; {
		start, err := from.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return to.Sync()
		}
		if err != nil {
			return err
		}
		if at, err = from.Seek(start, unix.SEEK_HOLE); err != nil {
			return err
		}
		if _, err := io.Copy(io.NewOffsetWriter(to, start), io.NewSectionReader(from, start, at-start)); err != nil {
			return err
		}
	}
}
