package master

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// alignBytes is what partitions start and end on.
const alignBytes = 1 << 20

// Partition is one entry of a GPT. LBAs count logical sectors; the last is part
// of the partition.
type Partition struct {
	Type, ID          GUID
	FirstLBA, LastLBA int64
	Attributes        uint64
	// Name is at most 36 UTF-16 units.
	Name string
}

// Table is a GUID partition table (UEFI specification 2.10, section 5.3) of a
// disk of a given size. Changing it changes nothing on the disk until [Table.Write].
type Table struct {
	DiskID      GUID
	SectorBytes int
	// DiskBytes is the size of the disk the table is for, which may be larger
	// than the one it was read from.
	DiskBytes int64
	// Partitions holds the entries in use. An entry's place in the table is its
	// place here; a free entry has a zero Type.
	Partitions []Partition

	firstUsable int64
	arrayLBA    int64 // of the primary
	oldBackup   int64 // where the backup header was, or 0
	entries     int   // size of the array
}

// TableError says why a partition table can't be read or changed as asked.
type TableError struct{ Reason string }

func (e *TableError) Error() string { return "partition table: " + e.Reason }

func tableErrorf(format string, args ...any) error {
	return &TableError{fmt.Sprintf(format, args...)}
}

// NewTable returns an empty table for a disk.
func NewTable(diskID GUID, diskBytes int64, sectorBytes int) (*Table, error) {
	t := &Table{DiskID: diskID, SectorBytes: sectorBytes, DiskBytes: diskBytes, arrayLBA: 2, entries: tableEntries}
	if err := t.checkDisk(); err != nil {
		return nil, err
	}
	t.firstUsable = t.arrayLBA + t.arraySectors()
	if t.lastUsable() < t.firstUsable {
		return nil, tableErrorf("a disk of %d bytes is too small for one", diskBytes)
	}
	return t, nil
}

func (t *Table) checkDisk() error {
	if t.SectorBytes != 512 && t.SectorBytes != 4096 {
		return tableErrorf("sectors of %d bytes are not supported", t.SectorBytes)
	}
	if t.DiskBytes <= 0 || t.DiskBytes > 1<<60 {
		return tableErrorf("a disk of %d bytes is not supported", t.DiskBytes)
	}
	return nil
}

func (t *Table) sectors() int64 { return t.DiskBytes / int64(t.SectorBytes) }

func (t *Table) arraySectors() int64 {
	return (int64(t.entries)*entryBytes + int64(t.SectorBytes) - 1) / int64(t.SectorBytes)
}

// lastUsable is the last sector before the backup array.
func (t *Table) lastUsable() int64 { return t.sectors() - 2 - t.arraySectors() }

func (t *Table) alignSectors() int64 { return alignBytes / int64(t.SectorBytes) }

// Offset returns where the partition starts on the disk and how long it is, in bytes.
func (t *Table) Offset(p Partition) (offset, length int64) {
	sector := int64(t.SectorBytes)
	return p.FirstLBA * sector, (p.LastLBA - p.FirstLBA + 1) * sector
}

// Find returns the partition with the name. It errors, naming those there are,
// when none or more than one has it.
func (t *Table) Find(name string) (*Partition, error) {
	var found *Partition
	var names []string
	for i := range t.Partitions {
		p := &t.Partitions[i]
		if p.Type == (GUID{}) {
			continue
		}
		names = append(names, fmt.Sprintf("%q", p.Name))
		if p.Name != name {
			continue
		}
		if found != nil {
			return nil, tableErrorf("two partitions are named %q", name)
		}
		found = p
	}
	if found == nil {
		return nil, tableErrorf("no partition is named %q; there are %s", name, strings.Join(names, ", "))
	}
	return found, nil
}

// Grow extends the named partition to the disk's end but for reserveBytes, which
// a later [Table.AddLast] takes. It errors when another partition stands behind
// it, or when it would have to shrink. The file system in it is not touched.
func (t *Table) Grow(name string, reserveBytes int64) error {
	p, err := t.Find(name)
	if err != nil {
		return err
	}
	for _, other := range t.Partitions {
		if other.Type != (GUID{}) && other.FirstLBA > p.LastLBA {
			return tableErrorf("partition %q can't grow: %q stands behind it", name, other.Name)
		}
	}
	end := t.lastUsable() + 1 - (reserveBytes+int64(t.SectorBytes)-1)/int64(t.SectorBytes)
	if end = end / t.alignSectors() * t.alignSectors(); end <= p.LastLBA {
		return tableErrorf("partition %q would end at sector %d and ends at %d now: the disk has no room for %d bytes behind it", name, end-1, p.LastLBA, reserveBytes)
	}
	p.LastLBA = end - 1
	return nil
}

// AddLast adds a partition of sizeBytes at the end of the disk, in room that is
// free, and returns it. It starts on a multiple of 1 MiB.
func (t *Table) AddLast(partitionType, id GUID, name string, sizeBytes int64) (Partition, error) {
	length := (sizeBytes + int64(t.SectorBytes) - 1) / int64(t.SectorBytes)
	first := (t.lastUsable() + 1 - length) / t.alignSectors() * t.alignSectors()
	return t.add(Partition{Type: partitionType, ID: id, Name: name, FirstLBA: first, LastLBA: first + length - 1})
}

// Append adds a partition of sizeBytes behind the others and returns it. A size of 0
// takes all there is, but for reserveBytes at the end.
func (t *Table) Append(partitionType, id GUID, name string, sizeBytes, reserveBytes int64) (Partition, error) {
	first := t.firstUsable
	for _, p := range t.Partitions {
		if p.Type != (GUID{}) {
			first = max(first, p.LastLBA+1)
		}
	}
	align := t.alignSectors()
	first = (first + align - 1) / align * align
	last := first + (sizeBytes+int64(t.SectorBytes)-1)/int64(t.SectorBytes) - 1
	if sizeBytes == 0 {
		last = (t.lastUsable()+1-(reserveBytes+int64(t.SectorBytes)-1)/int64(t.SectorBytes))/align*align - 1
	}
	return t.add(Partition{Type: partitionType, ID: id, Name: name, FirstLBA: first, LastLBA: last})
}

func (t *Table) add(p Partition) (Partition, error) {
	if err := t.checkEntry(p); err != nil {
		return Partition{}, err
	}
	for _, other := range t.Partitions {
		if other.Type != (GUID{}) && p.FirstLBA <= other.LastLBA && other.FirstLBA <= p.LastLBA {
			return Partition{}, tableErrorf("no room for partition %q: sectors %d to %d are part of %q", p.Name, p.FirstLBA, p.LastLBA, other.Name)
		}
	}
	for i := range t.Partitions {
		if t.Partitions[i].Type == (GUID{}) {
			t.Partitions[i] = p
			return p, nil
		}
	}
	if len(t.Partitions) == t.entries {
		return Partition{}, tableErrorf("no room for partition %q: all %d entries are used", p.Name, t.entries)
	}
	t.Partitions = append(t.Partitions, p)
	return p, nil
}

func (t *Table) checkEntry(p Partition) error {
	switch {
	case p.FirstLBA < t.firstUsable || p.LastLBA > t.lastUsable():
		return tableErrorf("partition %q, sectors %d to %d, leaves the disk's usable sectors %d to %d", p.Name, p.FirstLBA, p.LastLBA, t.firstUsable, t.lastUsable())
	case p.LastLBA < p.FirstLBA:
		return tableErrorf("partition %q ends at sector %d, before its start at %d", p.Name, p.LastLBA, p.FirstLBA)
	case len(encodeName(p.Name)) > nameUnits:
		return tableErrorf("the name %q is longer than %d UTF-16 units", p.Name, nameUnits)
	}
	return nil
}

// check refuses tables with partitions that overlap or leave the disk.
func (t *Table) check() error {
	var errs []error
	for i, p := range t.Partitions {
		if p.Type == (GUID{}) {
			continue
		}
		errs = append(errs, t.checkEntry(p))
		for _, other := range t.Partitions[:i] {
			if other.Type != (GUID{}) && p.FirstLBA <= other.LastLBA && other.FirstLBA <= p.LastLBA {
				errs = append(errs, tableErrorf("partitions %q and %q overlap", other.Name, p.Name))
			}
		}
	}
	return errors.Join(errs...)
}

// ReadTable reads the table of a disk of diskBytes. It takes the primary, and the
// backup at the disk's end when the primary is damaged. It errors with a
// [*TableError] when both are, when partitions overlap or leave the disk, and
// when the disk is smaller than the one the table was made for.
func ReadTable(disk io.ReaderAt, diskBytes int64, sectorBytes int) (*Table, error) {
	t := &Table{SectorBytes: sectorBytes, DiskBytes: diskBytes}
	if err := t.checkDisk(); err != nil {
		return nil, err
	}
	primary := t.read(disk, 1)
	if primary == nil {
		return t, t.check()
	}
	t = &Table{SectorBytes: sectorBytes, DiskBytes: diskBytes}
	if backup := t.read(disk, t.sectors()-1); backup != nil {
		return nil, fmt.Errorf("%w; and the backup: %w", primary, backup)
	}
	return t, t.check()
}
