package signature

import "slices"

// maxPartitions bounds the partitions that are looked into.
const maxPartitions = 128

// partition is one entry of a table, in bytes from the disk's start.
type partition struct {
	number    int
	startByte int64
	sizeBytes int64
	// purpose names contents that the entry's type alone tells.
	purpose string
}

// contents names what the partition holds.
func (p partition) contents(disk region) []string {
	r := region{pages: disk.pages, startByte: p.startByte, sizeBytes: p.sizeBytes, sectorBytes: disk.sectorBytes}
	out := contents(r)
	if len(out) == 0 && p.purpose != "" {
		out = []string{p.purpose}
	}
	return out
}

// partitions reads the disk's table. A boot sector that belongs to a file system on the
// whole disk is not taken for a table.
func partitions(disk region, whole []string) (names []string, parts []partition) {
	names, parts = readGPT(disk)
	if len(names) > 0 {
		return names, parts
	}
	for _, fs := range []string{"vfat", "ntfs", "exfat", "BitLocker"} {
		if slices.Contains(whole, fs) {
			return nil, nil
		}
	}
	return readMBR(disk)
}

// inside reports whether the partition lies within the disk.
func (p partition) inside(disk region) bool {
	return p.startByte > 0 && p.sizeBytes > 0 && p.startByte < disk.sizeBytes && p.sizeBytes <= disk.sizeBytes-p.startByte
}
