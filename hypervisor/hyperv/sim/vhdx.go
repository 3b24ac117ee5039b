package sim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// header is what is read of a real VHDX file (MS-VHDX).
type header struct {
	sizeBytes, blockBytes int64
	hasParent             bool
	id                    string
}

var (
	regionMetadata = []byte{0x06, 0xA2, 0x7C, 0x8B, 0x90, 0x47, 0x9A, 0x4B, 0xB8, 0xFE, 0x57, 0x5F, 0x05, 0x0F, 0x88, 0x6E}
	itemParameters = []byte{0x37, 0x67, 0xA1, 0xCA, 0x36, 0xFA, 0x43, 0x4D, 0xB3, 0xB6, 0x33, 0xF0, 0xAA, 0x44, 0xE7, 0x6B}
	itemSize       = []byte{0x24, 0x42, 0xA5, 0x2F, 0x1B, 0xCD, 0x76, 0x48, 0xB2, 0x11, 0x5D, 0xBE, 0xD8, 0x3B, 0xF4, 0xB8}
)

var errNoVHDX = errors.New("not a VHDX file")

const (
	headerAt, regionAt = 64 << 10, 192 << 10
	tableEntryBytes    = 32
)

// parse reads the header of a file.
func parse(data []byte) (header, error) {
	if len(data) < 1<<20 || !bytes.HasPrefix(data, []byte("vhdxfile")) || !bytes.HasPrefix(data[regionAt:], []byte("regi")) {
		return header{}, errNoVHDX
	}
	// MS-VHDX 2.2.2: DataWriteGuid is at 32 of a header.
	h := header{id: fmt.Sprintf("%x", data[headerAt+32:headerAt+48])}
	meta, err := region(data)
	if err != nil {
		return h, err
	}
	for i := range int(binary.LittleEndian.Uint16(meta[10:])) {
		if len(meta) < tableEntryBytes*(i+2) {
			return h, errNoVHDX
		}
		entry := meta[tableEntryBytes*(i+1):]
		at := int(binary.LittleEndian.Uint32(entry[16:]))
		if at+16 > len(meta) {
			return h, errNoVHDX
		}
		switch {
		case bytes.Equal(entry[:16], itemParameters):
			h.blockBytes = int64(binary.LittleEndian.Uint32(meta[at:]))
			h.hasParent = meta[at+4]&2 != 0
		case bytes.Equal(entry[:16], itemSize):
			h.sizeBytes = int64(binary.LittleEndian.Uint64(meta[at:]))
		}
	}
	return h, nil
}

// region is the metadata region (MS-VHDX 2.2.3, 2.6).
func region(data []byte) ([]byte, error) {
	table := data[regionAt:]
	for i := range int(binary.LittleEndian.Uint32(table[8:])) {
		if len(table) < 16+tableEntryBytes*(i+1) {
			return nil, errNoVHDX
		}
		entry := table[16+tableEntryBytes*i:]
		at, length := binary.LittleEndian.Uint64(entry[16:]), uint64(binary.LittleEndian.Uint32(entry[24:]))
		if bytes.Equal(entry[:16], regionMetadata) && at < uint64(len(data)) && length >= tableEntryBytes && length <= uint64(len(data))-at && bytes.HasPrefix(data[at:], []byte("metadata")) {
			return data[at : at+length], nil
		}
	}
	return nil, errNoVHDX
}
