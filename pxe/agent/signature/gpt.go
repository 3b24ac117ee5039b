package signature

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// Limits of a partition table that is read: the specification's minimum is 128 entries
// of 128 bytes (UEFI 2.10, 5.3.3).
const (
	gptSignature     = "EFI PART"
	gptHeaderBytes   = 92
	gptMinEntryBytes = 128
	gptMaxEntryBytes = 4096
)

// readGPT reads the GUID partition table (UEFI 2.10, 5.3): the header in sector 1, or the
// backup in the last sector. A table made for the other sector size is found as well,
// and named so: a disk that was cloned to one with other sectors carries it.
func readGPT(disk region) ([]string, []partition) {
	other := 4096 + 512 - disk.sectorBytes
	for _, sector := range []int{disk.sectorBytes, other} {
		name := "GPT partition table"
		if sector != disk.sectorBytes {
			name = fmt.Sprintf("GPT partition table for %d-byte sectors", sector)
		}
		if h := disk.gptHeader(int64(sector)); h != nil {
			return []string{name}, disk.gptEntries(h, sector)
		}
		if h := disk.gptHeader(-int64(sector)); h != nil {
			return []string{name + " (backup only)"}, disk.gptEntries(h, sector)
		}
		if disk.at(int64(sector), gptSignature) {
			return []string{name + " (damaged)"}, nil
		}
	}
	return nil, nil
}

// gptHeader returns a header whose checksum is right, else nil.
func (r region) gptHeader(off int64) []byte {
	h := r.bytes(off, gptHeaderBytes)
	if h == nil || string(h[:8]) != gptSignature {
		return nil
	}
	size := binary.LittleEndian.Uint32(h[12:])
	if size < gptHeaderBytes || size > 512 {
		return nil
	}
	full := r.bytes(off, int(size))
	if full == nil {
		return nil
	}
	sum := binary.LittleEndian.Uint32(full[16:])
	clear(full[16:20])
	if crc32.ChecksumIEEE(full) != sum {
		return nil
	}
	return h
}

func (r region) gptEntries(h []byte, sectorBytes int) []partition {
	le := binary.LittleEndian
	table, count, size := le.Uint64(h[72:]), le.Uint32(h[80:]), le.Uint32(h[84:])
	if size < gptMinEntryBytes || size > gptMaxEntryBytes || table > math.MaxInt64/uint64(sectorBytes)/2 {
		return nil
	}
	var out []partition
	for i := range min(count, maxPartitions) {
		e := r.bytes(int64(table)*int64(sectorBytes)+int64(i)*int64(size), gptMinEntryBytes)
		if e == nil {
			break
		}
		first, last := le.Uint64(e[32:]), le.Uint64(e[40:])
		if first == 0 || last < first || last > math.MaxInt64/uint64(sectorBytes)-1 {
			continue
		}
		p := partition{number: int(i) + 1, startByte: int64(first) * int64(sectorBytes),
			sizeBytes: int64(last-first+1) * int64(sectorBytes), purpose: purposes[guidText(e[:16])]}
		if p.inside(r) {
			out = append(out, p)
		}
	}
	return out
}

// purposes are partition types that tell of contents which carry no signature of their
// own (Microsoft PARTITION_INFORMATION_GPT; VMware; Ceph ceph-disk; UEFI 2.10, table 5.7).
var purposes = map[string]string{
	"e75caf8f-f680-4cee-afa3-b001e56efc2d": "Storage Spaces",
	"5808c8aa-7e8f-42e0-85d2-e1e90434cfb3": "Windows dynamic disk metadata",
	"af9b60a0-1431-4f62-bc68-3311714a69ad": "Windows dynamic disk data",
	"aa31e02a-400f-11db-9590-000c2911d1b8": "vmfs",
	"381cfccc-7288-11e0-92ee-000c2911d0b2": "vSAN",
	"9d275380-40ad-11db-bf97-000c2911d1b8": "VMware crash dump",
	"4fbd7e29-9d25-41b8-afd0-062c0ceff05d": "Ceph OSD",
	"45b0969e-9b03-4f30-b4c6-b4b80ceff106": "Ceph journal",
	"6a898cc3-1dd2-11b2-99a6-080020736631": "ZFS pool member",
}

// guidText writes a GUID as people do; its first three fields are little-endian on disk
// (UEFI 2.10, appendix A).
func guidText(b []byte) string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
}
