package seed

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const (
	wideSectorBytes = 4096
	// narrowBytes is the smallest size at which go-diskfs makes clusters of 4096 bytes.
	narrowBytes = 8 << 20
	// wideRootBytes is the root directory: 256 entries, two sectors.
	wideRootBytes = 8192
)

// widen lays a FAT12 with sectors of 512 bytes and clusters of 4096 out anew, in SizeBytes
// and with sectors of 4096: one for the boot sector, one for each of two FATs, two for the
// root directory, then one for each cluster. go-diskfs has FAT12 with 512 only, and a FAT32
// of this size is none to who goes by the number of clusters, as the specification says
// (Microsoft FAT, "FAT type determination"): busybox finds no label in it.
func widen(narrow []byte) ([]byte, error) {
	le := binary.LittleEndian
	reserved, fats := int(le.Uint16(narrow[14:]))*512, int(narrow[16])
	rootBytes, fatBytes := int(le.Uint16(narrow[17:]))*32, int(le.Uint16(narrow[22:]))*512
	if narrow[13] != wideSectorBytes/512 || fats != 2 || rootBytes > wideRootBytes {
		return nil, fmt.Errorf("make seed file system: %d sectors in a cluster, %d FATs, a root of %d bytes", narrow[13], fats, rootBytes)
	}
	root := reserved + fats*fatBytes
	clusters := SizeBytes/wideSectorBytes - 1 - fats - wideRootBytes/wideSectorBytes
	// A FAT12 entry has 12 bits; the first two are not clusters.
	used := (clusters + 2) * 3 / 2
	fat := narrow[reserved : reserved+fatBytes]
	if len(bytes.Trim(fat[used:], "\x00")) > 0 {
		return nil, fmt.Errorf("make seed file system: the documents need more than %d bytes", clusters*wideSectorBytes)
	}
	wide := make([]byte, 0, SizeBytes)
	wide = sector(append(wide, wideBoot(narrow[:512])...))
	wide = sector(append(wide, fat[:used]...))
	wide = sector(append(wide, fat[:used]...))
	wide = sector(append(wide, narrow[root:root+rootBytes]...))
	data := root + rootBytes
	wide = append(wide, narrow[data:data+SizeBytes-len(wide)]...)
	return wide, nil
}

// wideBoot is the boot sector with the new numbers.
func wideBoot(narrow []byte) []byte {
	le, boot := binary.LittleEndian, bytes.Clone(narrow)
	le.PutUint16(boot[11:], wideSectorBytes)
	boot[13] = 1 // sectors in a cluster
	le.PutUint16(boot[14:], 1)
	le.PutUint16(boot[17:], wideRootBytes/32)
	le.PutUint16(boot[19:], SizeBytes/wideSectorBytes)
	le.PutUint16(boot[22:], 1) // sectors of a FAT
	return boot
}

// sector fills the last sector with zeros.
func sector(b []byte) []byte {
	return append(b, make([]byte, (wideSectorBytes-len(b)%wideSectorBytes)%wideSectorBytes)...)
}
