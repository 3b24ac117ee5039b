package master

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"unicode/utf16"
)

const (
	gptSignature  = "EFI PART"
	gptRevision   = 0x00010000
	headerBytes   = 92
	entryBytes    = 128
	tableEntries  = 128
	maxEntries    = 1024
	nameUnits     = 36
	mbrEntries    = 446 // offset of the four entries in sector 0
	mbrEntryBytes = 16
	mbrProtective = 0xEE // UEFI specification 2.10, table 5.4
)

// read fills t from the header at lba and its entry array.
func (t *Table) read(disk io.ReaderAt, lba int64) error {
	header := make([]byte, t.SectorBytes)
	if _, err := disk.ReadAt(header, lba*int64(t.SectorBytes)); err != nil {
		return fmt.Errorf("read partition table at sector %d: %w", lba, err)
	}
	if err := checkHeader(header, lba); err != nil {
		return err
	}
	arrayLBA := int64(binary.LittleEndian.Uint64(header[72:]))
	count, size := binary.LittleEndian.Uint32(header[80:]), binary.LittleEndian.Uint32(header[84:])
	if size != entryBytes || count == 0 || count > maxEntries {
		return tableErrorf("%d entries of %d bytes are not supported", count, size)
	}
	t.entries = int(count)
	if arrayLBA < 2 || arrayLBA > t.sectors()-t.arraySectors() {
		return tableErrorf("the entries are at sector %d of %d", arrayLBA, t.sectors())
	}
	array := make([]byte, int(count)*entryBytes)
	if _, err := disk.ReadAt(array, arrayLBA*int64(t.SectorBytes)); err != nil {
		return fmt.Errorf("read partition entries at sector %d: %w", arrayLBA, err)
	}
	if got, want := crc32.ChecksumIEEE(array), binary.LittleEndian.Uint32(header[88:]); got != want {
		return tableErrorf("the entries at sector %d have a wrong checksum", arrayLBA)
	}
	copy(t.DiskID[:], header[56:72])
	t.firstUsable = int64(binary.LittleEndian.Uint64(header[40:]))
	t.arrayLBA, t.oldBackup = 2, int64(binary.LittleEndian.Uint64(header[32:]))
	if lba == 1 {
		t.arrayLBA = arrayLBA
	} else {
		t.oldBackup = lba
	}
	if t.firstUsable < t.arrayLBA+t.arraySectors() || t.firstUsable > t.sectors() {
		return tableErrorf("the first usable sector %d is not behind the entries", t.firstUsable)
	}
	t.Partitions = parseEntries(array)
	return nil
}

func checkHeader(header []byte, lba int64) error {
	if string(header[:8]) != gptSignature {
		return tableErrorf("sector %d holds no GPT header", lba)
	}
	size := binary.LittleEndian.Uint32(header[12:])
	if size < headerBytes || int(size) > len(header) {
		return tableErrorf("the header at sector %d is %d bytes long", lba, size)
	}
	sum := bytes.Clone(header[:size])
	clear(sum[16:20])
	if crc32.ChecksumIEEE(sum) != binary.LittleEndian.Uint32(header[16:]) {
		return tableErrorf("the header at sector %d has a wrong checksum", lba)
	}
	if at := int64(binary.LittleEndian.Uint64(header[24:])); at != lba {
		return tableErrorf("the header at sector %d says it is at %d", lba, at)
	}
	return nil
}

// parseEntries returns the entries up to the last one in use.
func parseEntries(array []byte) []Partition {
	var parts []Partition
	used := 0
	for at := 0; at < len(array); at += entryBytes {
		e := array[at : at+entryBytes]
		p := Partition{Type: GUID(e[0:16]), ID: GUID(e[16:32])}
		if p.Type != (GUID{}) {
			p.FirstLBA = int64(binary.LittleEndian.Uint64(e[32:]))
			p.LastLBA = int64(binary.LittleEndian.Uint64(e[40:]))
			p.Attributes = binary.LittleEndian.Uint64(e[48:])
			p.Name = decodeName(e[56:])
			used = len(parts) + 1
		}
		parts = append(parts, p)
	}
	return parts[:used]
}

func decodeName(b []byte) string {
	units := make([]uint16, 0, nameUnits)
	for at := 0; at < nameUnits*2; at += 2 {
		unit := binary.LittleEndian.Uint16(b[at:])
		if unit == 0 {
			break
		}
		units = append(units, unit)
	}
	return string(utf16.Decode(units))
}

func encodeName(name string) []uint16 { return utf16.Encode([]rune(name)) }

// Write puts the table on the disk: the backup at the end of DiskBytes, then the
// primary, then the protective MBR, whose boot code stays. A cut in between leaves
// a table that is whole. A backup that stood elsewhere is cleared: firmware must
// not find two.
func (t *Table) Write(disk interface {
	io.ReaderAt
	io.WriterAt
}) error {
	if err := t.check(); err != nil {
		return err
	}
	sector, last := int64(t.SectorBytes), t.sectors()-1
	array := t.marshalEntries()
	backupArray := last - t.arraySectors()
	writes := []struct {
		lba  int64
		data []byte
	}{
		{backupArray, array}, {last, t.marshalHeader(array, last, 1, backupArray)},
		{t.arrayLBA, array}, {1, t.marshalHeader(array, 1, last, t.arrayLBA)},
	}
	if t.oldBackup > t.arrayLBA+t.arraySectors() && t.oldBackup < backupArray {
		writes = append(writes, struct {
			lba  int64
			data []byte
		}{t.oldBackup, make([]byte, sector)})
	}
	for _, w := range writes {
		if _, err := disk.WriteAt(w.data, w.lba*sector); err != nil {
			return fmt.Errorf("write partition table at sector %d: %w", w.lba, err)
		}
	}
	if err := t.writeMBR(disk); err != nil {
		return fmt.Errorf("write protective MBR: %w", err)
	}
	t.oldBackup = last
	return nil
}

// writeMBR sets the size of the protective entry and keeps everything else, the
// boot code above all.
func (t *Table) writeMBR(disk interface {
	io.ReaderAt
	io.WriterAt
}) error {
	mbr := make([]byte, t.SectorBytes)
	if _, err := disk.ReadAt(mbr, 0); err != nil {
		return err
	}
	entry := mbr[mbrEntries : mbrEntries+mbrEntryBytes]
	for i := range 4 {
		if e := mbr[mbrEntries+i*mbrEntryBytes:][:mbrEntryBytes]; e[4] == mbrProtective {
			entry = e
			break
		}
	}
	if entry[4] != mbrProtective {
		copy(entry, []byte{0, 0, 2, 0, mbrProtective, 0xFF, 0xFF, 0xFF})
	}
	binary.LittleEndian.PutUint32(entry[8:], 1)
	binary.LittleEndian.PutUint32(entry[12:], uint32(min(t.sectors()-1, 0xFFFFFFFF)))
	mbr[510], mbr[511] = 0x55, 0xAA
	_, err := disk.WriteAt(mbr, 0)
	return err
}

func (t *Table) marshalEntries() []byte {
	array := make([]byte, t.arraySectors()*int64(t.SectorBytes))
	for i, p := range t.Partitions {
		e := array[i*entryBytes : (i+1)*entryBytes]
		copy(e[0:], p.Type[:])
		copy(e[16:], p.ID[:])
		binary.LittleEndian.PutUint64(e[32:], uint64(p.FirstLBA))
		binary.LittleEndian.PutUint64(e[40:], uint64(p.LastLBA))
		binary.LittleEndian.PutUint64(e[48:], p.Attributes)
		for n, unit := range encodeName(p.Name) {
			binary.LittleEndian.PutUint16(e[56+2*n:], unit)
		}
	}
	return array
}

func (t *Table) marshalHeader(array []byte, lba, other, arrayLBA int64) []byte {
	h := make([]byte, t.SectorBytes)
	copy(h, gptSignature)
	binary.LittleEndian.PutUint32(h[8:], gptRevision)
	binary.LittleEndian.PutUint32(h[12:], headerBytes)
	binary.LittleEndian.PutUint64(h[24:], uint64(lba))
	binary.LittleEndian.PutUint64(h[32:], uint64(other))
	binary.LittleEndian.PutUint64(h[40:], uint64(t.firstUsable))
	binary.LittleEndian.PutUint64(h[48:], uint64(t.lastUsable()))
	copy(h[56:], t.DiskID[:])
	binary.LittleEndian.PutUint64(h[72:], uint64(arrayLBA))
	binary.LittleEndian.PutUint32(h[80:], uint32(t.entries))
	binary.LittleEndian.PutUint32(h[84:], entryBytes)
	binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(array[:t.entries*entryBytes]))
	binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h[:headerBytes]))
	return h
}
