package facts

import (
	"fmt"
	"strconv"
	"strings"

	"ingot/inventory"
)

// memory reads what the kernel manages and the modules of SMBIOS type 17.
func (r *reading) memory() inventory.Memory {
	m := inventory.Memory{TotalBytes: memTotal(string(r.bytes("proc/meminfo")))}
	for _, rec := range r.smbios.all(smbiosMemory) {
		m.DIMMs = append(m.DIMMs, dimm(rec))
	}
	return m
}

// memTotal is /proc/meminfo's MemTotal, which is in kiB whatever it says.
func memTotal(meminfo string) int64 {
	for line := range strings.Lines(meminfo) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			kib, err := strconv.ParseInt(f[1], 10, 53)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}

// dimm reads a memory device (DSP0134 7.18).
func dimm(r record) inventory.DIMM {
	d := inventory.DIMM{Slot: r.text(0x10), Bank: r.text(0x11), SizeBytes: dimmSize(r)}
	if d.SizeBytes == 0 {
		return d // the other fields of an empty slot hold fillers
	}
	d.Type = memoryTypes[r.byteAt(0x12)]
	d.SpeedMTs = dimmSpeed(r)
	d.Manufacturer, d.Serial, d.Part = memoryMaker(r.text(0x17)), r.text(0x18), r.text(0x1a)
	// The check bits are what the total width has beyond the data width.
	total, data := r.word(8), r.word(0xa)
	d.ECC = data > 0 && total != 0xffff && data != 0xffff && total > data
	return d
}

// dimmSize reads the size: in MiB, or KiB with bit 15 set; 0x7FFF sends to the extended
// field; 0 is an empty slot and 0xFFFF one whose content is not known.
func dimmSize(r record) int64 {
	size := r.word(0xc)
	switch {
	case size == 0xffff:
		return 0
	case size == 0x7fff:
		return int64(r.dword(0x1c)&0x7fffffff) << 20
	case size&0x8000 != 0:
		return int64(size&0x7fff) << 10
	}
	return int64(size) << 20
}

// dimmSpeed is what the module runs at, or else what it could; 0xFFFF sends to the
// extended fields (SMBIOS 3.3).
func dimmSpeed(r record) int {
	for _, f := range [][2]int{{0x20, 0x58}, {0x15, 0x54}} {
		switch speed := r.word(f[0]); speed {
		case 0:
		case 0xffff:
			return int(r.dword(f[1]) & 0x7fffffff)
		default:
			return int(speed)
		}
	}
	return 0
}

// memoryTypes are the values of DSP0134 7.18.2 that machines with a network boot have.
var memoryTypes = map[byte]string{0x07: "RAM", 0x0f: "SDRAM", 0x12: "DDR", 0x13: "DDR2", 0x18: "DDR3", 0x1a: "DDR4", 0x1b: "LPDDR", 0x1c: "LPDDR2",
	0x1d: "LPDDR3", 0x1e: "LPDDR4", 0x1f: "NVDIMM", 0x20: "HBM", 0x21: "HBM2", 0x22: "DDR5", 0x23: "LPDDR5", 0x24: "HBM3"}

// memoryMakers are JEDEC JEP106 codes, which some firmware gives in place of a name: the
// bank with its parity bit and the code, in either order.
var memoryMakers = map[string]string{"80CE": "Samsung", "CE00": "Samsung", "80AD": "SK hynix", "AD00": "SK hynix", "802C": "Micron", "2C00": "Micron",
	"0198": "Kingston", "9801": "Kingston", "859B": "Crucial", "9B85": "Crucial", "04CD": "G.Skill", "CD04": "G.Skill"}

// memoryMaker puts a name beside such a code. It comes alone, filled up with zeros, or
// between other bytes with the code repeated at the end ("00AD063200AD").
func memoryMaker(s string) string {
	code := strings.ToUpper(strings.TrimPrefix(s, "0x"))
	if len(code) < 4 {
		return s
	}
	first, rest := code[:4], code[4:]
	if strings.HasPrefix(first, "00") && strings.HasSuffix(rest, first) {
		first, rest = first[2:]+"00", "" // without the parity bit's bank
	}
	if name := memoryMakers[first]; name != "" && strings.Trim(rest, "0") == "" {
		return fmt.Sprintf("%s (%s)", name, s)
	}
	return s
}
