package signature

import "encoding/binary"

// The partition types that matter (UEFI 2.10, 5.2.2 for 0xEE; the others are usage).
const (
	mbrProtective = 0xee
	mbrExtended   = 0x05
	mbrExtendedLB = 0x0f // extended, addressed by LBA
	mbrExtendedLX = 0x85 // extended, of Linux
)

// maxLogical bounds the chain of extended boot records, which could be a ring.
const maxLogical = 60

// mbrEntry is one of the four entries of a boot record, in sectors.
type mbrEntry struct {
	kind           byte
	start, sectors int64
}

func (e mbrEntry) extended() bool {
	return e.kind == mbrExtended || e.kind == mbrExtendedLB || e.kind == mbrExtendedLX
}

// bootRecord parses the entries of a master or extended boot record; nil when the mark
// at byte 510 is missing, or an entry's flag is neither active (0x80) nor inactive (0),
// which is code and not a table.
func bootRecord(b []byte) []mbrEntry {
	if len(b) < 512 || b[510] != 0x55 || b[511] != 0xaa {
		return nil
	}
	var out []mbrEntry
	for i := range 4 {
		e := b[446+16*i:]
		if e[0]&0x7f != 0 {
			return nil
		}
		out = append(out, mbrEntry{kind: e[4], start: int64(binary.LittleEndian.Uint32(e[8:])), sectors: int64(binary.LittleEndian.Uint32(e[12:]))})
	}
	return out
}

// readMBR reads the master boot record and, one level deep, the logical partitions.
func readMBR(disk region) ([]string, []partition) {
	entries := bootRecord(disk.bytes(0, 512))
	var parts []partition
	name := ""
	for i, e := range entries {
		switch {
		case e.kind == 0 || e.sectors == 0:
		case e.kind == mbrProtective:
			name = "protective MBR without its GPT"
		case e.extended():
			name = "MBR partition table"
			parts = append(parts, disk.logical(e)...)
		default:
			name = "MBR partition table"
			parts = append(parts, disk.primary(i+1, e.start, e.sectors))
		}
	}
	if name == "" {
		return nil, nil
	}
	var in []partition
	for _, p := range parts {
		if p.inside(disk) {
			in = append(in, p)
		}
	}
	return []string{name}, in
}

func (r region) primary(number int, start, sectors int64) partition {
	return partition{number: number, startByte: start * int64(r.sectorBytes), sizeBytes: sectors * int64(r.sectorBytes)}
}

// logical follows the chain of extended boot records: the first entry is a logical
// partition relative to its record, the second points to the next record relative to
// the extended partition. A chain that doesn't go forward ends.
func (r region) logical(ext mbrEntry) []partition {
	var out []partition
	at := ext.start
	for number := 5; number < 5+maxLogical; number++ {
		entries := bootRecord(r.bytes(at*int64(r.sectorBytes), 512))
		if entries == nil {
			break
		}
		if e := entries[0]; e.kind != 0 && e.sectors > 0 {
			out = append(out, r.primary(number, at+e.start, e.sectors))
		}
		next := ext.start + entries[1].start
		if !entries[1].extended() || next <= at {
			break
		}
		at = next
	}
	return out
}
