package images

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"ingot/inventory"
)

// Places and names in a VHDX file ([MS-VHDX] sections 2.2.3 and 2.6). GUIDs are as
// stored, little endian.
const (
	vhdxRegionTable  = 192 << 10
	vhdxMetadata     = "\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e"
	vhdxFileParams   = "\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b"
	vhdxHasParent    = 2
	vhdxMaxEntries   = 2047
	vhdxEntryBytes   = 32
	vhdxRegionsStart = 16
	vhdxItemsStart   = 32
)

// checkVHDX refuses a differencing disk.
func checkVHDX(r io.ReaderAt, head []byte) error {
	if !bytes.HasPrefix(head, []byte("vhdxfile")) {
		return inventory.Invalid("the file is no vhdx")
	}
	metadata, err := vhdxEntry(r, vhdxRegionTable, "regi", 8, vhdxRegionsStart, vhdxMetadata)
	if err != nil {
		return err
	}
	at := int64(binary.LittleEndian.Uint64(metadata[16:]))
	params, err := vhdxEntry(r, at, "metadata", 10, vhdxItemsStart, vhdxFileParams)
	if err != nil {
		return err
	}
	var item [8]byte
	if _, err := r.ReadAt(item[:], at+int64(binary.LittleEndian.Uint32(params[16:]))); err != nil {
		return inventory.Invalid("the vhdx file is damaged or cut short: read its parameters: %v", err)
	}
	if binary.LittleEndian.Uint32(item[4:])&vhdxHasParent != 0 {
		return inventory.Invalid("the vhdx file is a differencing disk and needs its parent: merge it first (Merge-VHD)")
	}
	return nil
}

// vhdxEntry finds an entry of a table: magic, a count at countAt, entries from start on.
func vhdxEntry(r io.ReaderAt, at int64, magic string, countAt, start int, id string) ([]byte, error) {
	table := make([]byte, 64<<10)
	n, err := r.ReadAt(table, at)
	if at < 0 || err != nil && err != io.EOF || n < start || string(table[:len(magic)]) != magic {
		return nil, inventory.Invalid("the vhdx file is damaged or cut short: no table %q at %d", magic, at)
	}
	count := int(binary.LittleEndian.Uint16(table[countAt:]))
	for i := range min(count, vhdxMaxEntries) {
		entry := table[:n][min(start+i*vhdxEntryBytes, n):]
		if len(entry) < vhdxEntryBytes {
			break
		}
		if string(entry[:16]) == id {
			return entry[:vhdxEntryBytes], nil
		}
	}
	return nil, inventory.Invalid("the vhdx file is damaged: %s", fmt.Sprintf("table %q lacks an entry", magic))
}
