package master

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// GUID is a GUID as the GPT stores it: the first three groups little-endian
// (UEFI specification 2.10, appendix A).
type GUID [16]byte

// Partition types of the GPT, as the UEFI specification and GRUB name them.
var (
	// TypeESP is the EFI system partition.
	TypeESP = mustGUID("C12A7328-F81F-11D2-BA4B-00A0C93EC93B")
	// TypeBIOSBoot holds GRUB's core image for BIOS machines.
	TypeBIOSBoot = mustGUID("21686148-6449-6E6F-744E-656564454649")
	// TypeLinux is a Linux file system.
	TypeLinux = mustGUID("0FC63DAF-8483-4772-8E79-3D69D8477DE4")
	// TypeLinuxRoot is the root file system of an x86-64 machine, which systemd
	// knows (Discoverable Partitions Specification).
	TypeLinuxRoot = mustGUID("4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709")
	// TypeBasicData is a FAT or NTFS file system.
	TypeBasicData = mustGUID("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7")
)

// ParseGUID reads the usual text form.
func ParseGUID(s string) (GUID, error) {
	var g GUID
	digits := strings.ReplaceAll(s, "-", "")
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != len(g) || strings.Count(s, "-") != 4 {
		return g, fmt.Errorf("%q is not a GUID", s)
	}
	copy(g[:], raw)
	return g.swapped(), nil
}

func mustGUID(s string) GUID {
	g, err := ParseGUID(s)
	if err != nil {
		panic("master: " + err.Error())
	}
	return g
}

// NewGUID makes a version 8 GUID (RFC 9562) out of a digest, for tables that
// must come out the same each time.
func NewGUID(d Digest) GUID {
	g := GUID(d[:16])
	g[6] = g[6]&0x0f | 0x80
	g[8] = g[8]&0x3f | 0x80
	return g.swapped()
}

// swapped turns the first three groups round, either way.
func (g GUID) swapped() GUID {
	binary.LittleEndian.PutUint32(g[0:], binary.BigEndian.Uint32(g[0:]))
	binary.LittleEndian.PutUint16(g[4:], binary.BigEndian.Uint16(g[4:]))
	binary.LittleEndian.PutUint16(g[6:], binary.BigEndian.Uint16(g[6:]))
	return g
}

// String returns the text form in lower case, as Linux prints PARTUUID.
func (g GUID) String() string {
	b := g.swapped()
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
