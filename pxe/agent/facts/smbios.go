package facts

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Structure types of SMBIOS (DMTF DSP0134 3.7, section 7) that are read.
const (
	smbiosBIOS      = 0
	smbiosSystem    = 1
	smbiosBoard     = 2
	smbiosChassis   = 3
	smbiosProcessor = 4
	smbiosMemory    = 17
	smbiosIPMI      = 38
	smbiosEnd       = 127
)

// maxSMBIOSRecords bounds the structures taken from a table; big servers have about 500.
const maxSMBIOSRecords = 8192

// smbios is a parsed table. The zero value has no records.
type smbios struct {
	major, minor int
	records      []record
}

// atLeast compares the version of the specification that the table follows.
func (s smbios) atLeast(major, minor int) bool {
	return s.major > major || s.major == major && s.minor >= minor
}

// all returns the records of a type in the table's order.
func (s smbios) all(kind byte) []record {
	var out []record
	for _, r := range s.records {
		if r.kind == kind {
			out = append(out, r)
		}
	}
	return out
}

// first returns the first record of a type; the zero record, which reads as nothing,
// when there is none.
func (s smbios) first(kind byte) record {
	for _, r := range s.records {
		if r.kind == kind {
			return r
		}
	}
	return record{}
}

// parseSMBIOS reads an entry point and the table it describes, as the kernel shows them
// in /sys/firmware/dmi/tables. Tables come from firmware and are not trusted: a record
// that reaches over the end stops the reading, and those before it stand.
func parseSMBIOS(entry, table []byte) (smbios, error) {
	major, minor, size, err := parseEntryPoint(entry)
	if err != nil {
		return smbios{}, err
	}
	s := smbios{major: major, minor: minor}
	if size < len(table) {
		table = table[:size]
	}
	for len(table) >= 4 && len(s.records) < maxSMBIOSRecords {
		r, rest, err := nextRecord(table)
		if err != nil {
			return s, fmt.Errorf("record %d: %w", len(s.records), err)
		}
		if r.kind == smbiosEnd {
			break
		}
		s.records, table = append(s.records, r), rest
	}
	return s, nil
}

// parseEntryPoint knows both forms: 64-bit "_SM3_" (DSP0134 5.2.2) and 32-bit "_SM_"
// (5.2.1). Checksums make the bytes add up to zero.
func parseEntryPoint(b []byte) (major, minor, tableBytes int, err error) {
	switch {
	case bytes.HasPrefix(b, []byte("_SM3_")) && len(b) >= 24 && sumIsZero(b, int(b[6])):
		return int(b[7]), int(b[8]), int(min(binary.LittleEndian.Uint32(b[12:]), 1<<30)), nil
	case bytes.HasPrefix(b, []byte("_SM_")) && len(b) >= 31 && sumIsZero(b, int(b[5])):
		return int(b[6]), int(b[7]), int(binary.LittleEndian.Uint16(b[22:])), nil
	}
	return 0, 0, 0, errors.New("no SMBIOS entry point with a right checksum")
}

func sumIsZero(b []byte, n int) bool {
	if n < 16 || n > len(b) {
		return false
	}
	var sum byte
	for _, v := range b[:n] {
		sum += v
	}
	return sum == 0
}

// record is one structure: its formatted area with the four bytes of header, and its
// strings.
type record struct {
	kind    byte
	data    []byte
	strings []string
}

// nextRecord splits the first structure off. Its strings end with an empty one, so two
// zero bytes close it (DSP0134 6.1.3).
func nextRecord(b []byte) (record, []byte, error) {
	size := int(b[1])
	if size < 4 || size > len(b) {
		return record{}, nil, fmt.Errorf("length %d of %d bytes left", size, len(b))
	}
	r := record{kind: b[0], data: b[:size]}
	end := bytes.Index(b[size:], []byte{0, 0})
	if end < 0 {
		return record{}, nil, errors.New("strings have no end")
	}
	if end > 0 {
		for _, s := range bytes.Split(b[size:size+end], []byte{0}) {
			r.strings = append(r.strings, clean(string(s)))
		}
	}
	return r, b[size+end+2:], nil
}

// byteAt and its like read a field, 0 when the record is too short to have it, as those
// of older specifications are.
func (r record) byteAt(off int) byte {
	if off >= len(r.data) {
		return 0
	}
	return r.data[off]
}

func (r record) word(off int) uint16 {
	if off+2 > len(r.data) {
		return 0
	}
	return binary.LittleEndian.Uint16(r.data[off:])
}

func (r record) dword(off int) uint32 {
	if off+4 > len(r.data) {
		return 0
	}
	return binary.LittleEndian.Uint32(r.data[off:])
}

// text resolves the string number at off; number 0 means none.
func (r record) text(off int) string {
	if n := int(r.byteAt(off)); n > 0 && n <= len(r.strings) {
		return r.strings[n-1]
	}
	return ""
}

// uuid writes the 16 bytes at off as Linux does: the first three fields are
// little-endian since SMBIOS 2.6 (DSP0134 7.2.1). All zeros or all ones mean that the
// machine has none.
func (r record) uuid(off int, s smbios) string {
	if off+16 > len(r.data) {
		return ""
	}
	b := slices.Clone(r.data[off : off+16])
	if bytes.Count(b, []byte{0}) == 16 || bytes.Count(b, []byte{0xff}) == 16 {
		return ""
	}
	if s.atLeast(2, 6) {
		slices.Reverse(b[0:4])
		slices.Reverse(b[4:6])
		slices.Reverse(b[6:8])
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
