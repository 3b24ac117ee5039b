package build

import (
	"errors"
	"fmt"
	"os"

	"ingot/images/master"
)

// The partitions, in order: GRUB's core image where a BIOS can boot, the EFI system
// partition, and, for a Debian, the root, last so that it can grow.
const (
	defaultSectorBytes = 512
	rootName           = "root"
	biosBytes          = 1 << 20
	espBytes           = 48 << 20
	// spareBytes stays free at the end, so that the seed's partition fits even
	// on a disk no larger than the image.
	spareBytes = 8 << 20
	// sourceDate is the time stamp of everything that would take the clock's:
	// 2026-01-01 00:00:00 UTC. FAT needs one after 1980.
	sourceDate = 1767225600
)

// layout is the disk of an image being built.
type layout struct {
	path              string
	bios, esp, root   master.Partition
	rootUUID, espUUID string
	espID             uint32
	table             *master.Table
}

// identity derives an identifier from the recipe, so that the same recipe gives
// the same ones.
func (r Recipe) identity(what string) master.Digest {
	d := r.Digest()
	return master.DigestOf(append(d[:], what...))
}

// newLayout makes the sparse disk file and its partition table.
func newLayout(r Recipe, path string) (*layout, error) {
	sizeBytes := int64(r.SizeMiB) << 20
	table, err := master.NewTable(master.NewGUID(r.identity("disk")), sizeBytes, r.sectorBytes())
	if err != nil {
		return nil, err
	}
	id := r.identity("esp volume")
	l := &layout{path: path, table: table, rootUUID: master.NewGUID(r.identity("root file system")).String(), espID: uint32(id[0])<<24 | uint32(id[1])<<16 | uint32(id[2])<<8 | uint32(id[3])}
	l.espUUID = fmt.Sprintf("%04X-%04X", l.espID>>16, l.espID&0xFFFF)
	if err := l.partition(r); err != nil {
		return nil, err
	}
	disk, err := master.CreateFile(path, sizeBytes)
	if err != nil {
		return nil, err
	}
	return l, errors.Join(table.Write(disk), disk.Close())
}

func (l *layout) partition(r Recipe) error {
	var err error
	add := func(p *master.Partition, partitionType master.GUID, name string, size int64) {
		if err == nil {
			*p, err = l.table.Append(partitionType, master.NewGUID(r.identity(name)), name, size, spareBytes)
		}
	}
	if r.bootsBIOS() {
		add(&l.bios, master.TypeBIOSBoot, "bios", biosBytes)
	}
	add(&l.esp, master.TypeESP, "esp", espBytes)
	if r.hasRoot() {
		add(&l.root, master.TypeLinuxRoot, rootName, 0)
	}
	return err
}

// writeAt writes data into the disk file.
func (l *layout) writeAt(data []byte, offset int64) error {
	f, err := os.OpenFile(l.path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open disk of the image: %w", err)
	}
	_, err = f.WriteAt(data, offset)
	return errors.Join(err, f.Close())
}
