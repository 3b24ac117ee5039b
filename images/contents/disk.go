package contents

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/diskfs/go-diskfs/partition/mbr"

	"ingot/images/master"
)

// Disk is what could be read of a disk.
type Disk struct {
	// Root is the file system with the operating system; nil when there is none that
	// can be read, and then RootProblem says why.
	Root        *FS
	RootProblem string
	// RootType is its type ("ext4"), also of one that can't be read ("xfs"), empty when
	// none was found.
	RootType string
	// ESP is the EFI system partition; nil when there is none.
	ESP *FS
}

// extent is a partition: bytes of the disk.
type extent struct {
	offset, length int64
	esp            bool
}

// Open reads the partition table of a raw disk and looks for its file systems. A disk
// without any is no error. An error is one of reading, or of a table that is damaged.
func Open(disk io.ReaderAt, sizeBytes int64, sectorBytes int) (*Disk, error) {
	parts, err := partitions(disk, sizeBytes, sectorBytes)
	if err != nil {
		return nil, fmt.Errorf("read partitions of the image: %w", err)
	}
	d := &Disk{RootProblem: "there is no partition with an operating system's file system"}
	for _, p := range parts {
		kind, err := volumeType(disk, p)
		if err != nil {
			return nil, fmt.Errorf("read partition at byte %d: %w", p.offset, err)
		}
		d.look(disk, p, kind)
	}
	return d, nil
}

// look takes a partition for what it is. The largest one with a root wins, which is the
// first that has /etc.
func (d *Disk) look(disk io.ReaderAt, p extent, kind string) {
	switch kind {
	case "fat12", "fat16", "fat32":
		if d.ESP == nil || p.esp {
			if f, err := openFAT(disk, p, kind); err == nil && (p.esp || f.Exists("EFI")) {
				d.ESP = f
			}
		}
	case "ext4":
		f, err := openExt4(disk, p)
		if err == nil && !f.Exists("etc") {
			return
		}
		if err != nil && d.Root == nil {
			d.RootType, d.RootProblem = kind, err.Error()
		}
		if err == nil && d.Root == nil {
			d.Root, d.RootType, d.RootProblem = f, kind, ""
		}
	case "":
	default:
		if d.RootType == "" {
			d.RootType, d.RootProblem = kind, "its file system is "+kind+", which is not read here"
		}
	}
}

func partitions(disk io.ReaderAt, sizeBytes int64, sectorBytes int) ([]extent, error) {
	signature := make([]byte, 8)
	if _, err := disk.ReadAt(signature, int64(sectorBytes)); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(signature) != "EFI PART" {
		return mbrPartitions(disk, sizeBytes, sectorBytes)
	}
	table, err := master.ReadTable(disk, sizeBytes, sectorBytes)
	if err != nil {
		return nil, err
	}
	var all []extent
	for _, p := range table.Partitions {
		offset, length := table.Offset(p)
		all = append(all, extent{offset, length, p.Type == master.TypeESP})
	}
	return all, nil
}

// mbrPartitions are the four of a DOS table; a disk without one is one file system.
func mbrPartitions(disk io.ReaderAt, sizeBytes int64, sectorBytes int) (all []extent, err error) {
	err = guard(func() error {
		table, err := mbr.Read(newReader(disk, 0, sizeBytes), sectorBytes, sectorBytes)
		if err != nil {
			all = []extent{{0, sizeBytes, false}}
			return nil
		}
		for _, p := range table.Partitions {
			e := extent{int64(p.Start) * int64(sectorBytes), int64(p.Size) * int64(sectorBytes), p.Type == mbr.EFISystem}
			if p.Type != mbr.Empty && e.offset+e.length <= sizeBytes {
				all = append(all, e)
			}
		}
		return nil
	})
	return all, err
}

// guard makes a panic of a file system's reader an error: its bytes are anybody's.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged: %v: %w", r, fs.ErrInvalid)
		}
	}()
	return f()
}
