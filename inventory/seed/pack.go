package seed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/diskfs/go-diskfs/filesystem"
	"github.com/diskfs/go-diskfs/filesystem/fat12"

	"ingot/inventory"
)

// SizeBytes is the size of a packed seed.
const SizeBytes = 4 << 20

// Pack writes the documents into a FAT12 file system labelled CIDATA. sectorBytes is the
// disk's logical sector size: Linux refuses a FAT whose sectors are smaller.
func Pack(d Documents, sectorBytes int) ([]byte, error) {
	switch sectorBytes {
	case 512:
		return pack(d, SizeBytes)
	case wideSectorBytes:
		data, err := pack(d, narrowBytes)
		if err != nil {
			return nil, err
		}
		return widen(data)
	}
	return nil, inventory.Invalid("sector size %d (want 512 or 4096)", sectorBytes)
}

// pack makes a file system with sectors of 512 bytes.
func pack(d Documents, sizeBytes int64) ([]byte, error) {
	mem := &memory{data: make([]byte, sizeBytes)}
	fsys, err := fat12.Create(mem, sizeBytes, 0, 512, Label, true)
	if err != nil {
		return nil, fmt.Errorf("make seed file system: %w", err)
	}
	files := map[string][]byte{"/meta-data": d.MetaData, "/user-data": d.UserData, "/vendor-data": d.VendorData, "/network-config": d.NetworkConfig}
	for _, name := range []string{"/meta-data", "/user-data", "/vendor-data", "/network-config"} {
		if err := writeFile(fsys, name, files[name]); err != nil {
			return nil, fmt.Errorf("write %s into the seed: %w", name, err)
		}
	}
	freeFirstCluster(mem.data)
	return mem.data, nil
}

// freeFirstCluster frees cluster 2 in both FATs: go-diskfs takes it for the root directory,
// which in a FAT12 lies in no cluster, and fsck.fat complains.
func freeFirstCluster(data []byte) {
	reserved, fatBytes := int(binary.LittleEndian.Uint16(data[14:]))*512, int(binary.LittleEndian.Uint16(data[22:]))*512
	for _, fat := range []int{reserved, reserved + fatBytes} {
		data[fat+3] = 0
		data[fat+4] &= 0xF0
	}
}

func writeFile(fsys filesystem.FileSystem, name string, data []byte) error {
	f, err := fsys.OpenFile(name, os.O_CREATE|os.O_RDWR)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
