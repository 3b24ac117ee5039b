package signature

import (
	"bytes"
	"fmt"
	"io"
	"slices"
)

// MaxReadBytes bounds what Scan reads from one disk.
// It is reached only on a disk with more than a hundred partitions.
const MaxReadBytes = 16 << 20

// unknownBytes is the start of a disk in which unrecognised data counts as a signature:
// every partition table, boot block and most file systems begin there.
const unknownBytes = 1 << 20

// Unrecognised is what Scan says of a disk that carries no known signature, and whose
// start is nevertheless not zeros.
const Unrecognised = "unrecognised data in the first MiB"

// Scan names what a disk carries, in words ("GPT partition table", "ext4 on partition
// 1"), sorted with the whole disk first. A disk of zeros gives none. sizeBytes and
// sectorBytes (logical, 512 or 4096; 0 is taken as 512) are the disk's. Partitions of a
// table are looked into, up to [maxPartitions]; what they hold is not descended further.
// An error is a read error of the disk, and what was found before it comes with it.
func Scan(disk io.ReaderAt, sizeBytes int64, sectorBytes int) ([]string, error) {
	if sectorBytes != 4096 {
		sectorBytes = 512
	}
	pages := newPages(disk, sizeBytes)
	whole := region{pages: pages, sizeBytes: sizeBytes, sectorBytes: sectorBytes}
	found := contents(whole)
	for _, f := range []matcher{matchRAID, matchDDF, matchPromise} {
		found = append(found, f(whole)...)
	}
	tables, parts := partitions(whole, found)
	found = append(tables, found...)
	for _, p := range parts {
		for _, name := range p.contents(whole) {
			found = append(found, fmt.Sprintf("%s on partition %d", name, p.number))
		}
	}
	if len(found) == 0 && pages.err == nil && whole.unknown() {
		found = []string{Unrecognised}
	}
	if pages.exhausted {
		found = append(found, "more than was looked at (reading limit)")
	}
	return unique(found), pages.err
}

// matcher names what it finds in a region.
type matcher func(region) []string

// unique drops repetitions: a RAID superblock may be seen from the disk and from the
// partition that ends at the same place.
func unique(names []string) []string {
	var out []string
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// unknown reports whether anything but zeros stands at the region's start.
func (r region) unknown() bool {
	zeros := make([]byte, pageBytes)
	for off := int64(0); off < min(unknownBytes, r.sizeBytes); off += pageBytes {
		if page := r.bytes(off, int(min(pageBytes, r.sizeBytes-off))); !bytes.Equal(page, zeros[:len(page)]) {
			return true
		}
	}
	return false
}

// contents names what a region holds, partition tables aside.
func contents(r region) []string {
	var out []string
	for _, f := range []matcher{matchMagics, matchExt, matchFAT, matchSwap, matchMD, matchLVM, matchZFS, matchUFS, matchUDF} {
		out = append(out, f(r)...)
	}
	return unique(out)
}
