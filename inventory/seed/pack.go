package seed

import (
	"errors"
	"fmt"
	"os"

	"github.com/diskfs/go-diskfs/filesystem"
	"github.com/diskfs/go-diskfs/filesystem/fat12"
	"github.com/diskfs/go-diskfs/filesystem/fat32"

	"ingot/inventory"
)

// SizeBytes is the size of a packed seed for disks with 512-byte sectors; on 4096-byte
// sectors FAT32 is used, which needs more room (go-diskfs has FAT12 with 512 only).
const (
	SizeBytes   = 4 << 20
	Size4KBytes = 40 << 20
)

// Pack writes the documents into a FAT file system labelled CIDATA. sectorBytes is the
// disk's logical sector size: Linux refuses a FAT whose sectors are smaller.
func Pack(d Documents, sectorBytes int) ([]byte, error) {
	fsys, mem, err := format(sectorBytes)
	if err != nil {
		return nil, fmt.Errorf("make seed file system: %w", err)
	}
	files := map[string][]byte{"/meta-data": d.MetaData, "/user-data": d.UserData, "/vendor-data": d.VendorData, "/network-config": d.NetworkConfig}
	for _, name := range []string{"/meta-data", "/user-data", "/vendor-data", "/network-config"} {
		if err := writeFile(fsys, name, files[name]); err != nil {
			return nil, fmt.Errorf("write %s into the seed: %w", name, err)
		}
	}
	return mem.data, nil
}

func format(sectorBytes int) (filesystem.FileSystem, *memory, error) {
	switch sectorBytes {
	case 512:
		mem := &memory{data: make([]byte, SizeBytes)}
		fsys, err := fat12.Create(mem, SizeBytes, 0, 512, Label, true)
		return fsys, mem, err
	case 4096:
		mem := &memory{data: make([]byte, Size4KBytes)}
		fsys, err := fat32.Create(mem, Size4KBytes, 0, 4096, Label, true)
		return fsys, mem, err
	}
	return nil, nil, inventory.Invalid("sector size %d (want 512 or 4096)", sectorBytes)
}

func writeFile(fsys filesystem.FileSystem, name string, data []byte) error {
	f, err := fsys.OpenFile(name, os.O_CREATE|os.O_RDWR)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
