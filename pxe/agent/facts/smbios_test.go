package facts

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

func TestUUIDByteOrder(t *testing.T) {
	raw := "00112233445566778899aabbccddeeff"
	for _, tt := range []struct {
		name         string
		major, minor byte
		raw, want    string
	}{
		{"2.5 as it stands", 2, 5, raw, "00112233-4455-6677-8899-aabbccddeeff"},
		{"2.6 little-endian", 2, 6, raw, "33221100-5544-7766-8899-aabbccddeeff"},
		{"3.0 little-endian", 3, 0, raw, "33221100-5544-7766-8899-aabbccddeeff"},
		{"all zeros", 3, 0, strings.Repeat("00", 16), ""},
		{"all ones", 3, 0, strings.Repeat("ff", 16), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parseSMBIOS(smbiosTables(tt.major, tt.minor, systemRecord("M", "P", "S", tt.raw, "")))
			if err != nil {
				t.Fatal(err)
			}
			if got := s.first(smbiosSystem).uuid(8, s); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDIMM(t *testing.T) {
	edit := func(f func(s *structure)) []byte {
		return newStructure(smbiosMemory, 0x5c, func(s *structure) { s.word(0xc, 1); s.b[0x12] = 0x22; f(s) })
	}
	for _, tt := range []struct {
		name string
		rec  []byte
		want inventory.DIMM
	}{
		{"empty slot says nothing else", dimmRecord("A", "B", 0, 0x1a, 1, "x", "y", "z", true), inventory.DIMM{Slot: "A", Bank: "B"}},
		{"size unknown", edit(func(s *structure) { s.word(0xc, 0xffff) }), inventory.DIMM{}},
		{"in KiB", edit(func(s *structure) { s.word(0xc, 0x8000|512) }), inventory.DIMM{SizeBytes: 512 << 10, Type: "DDR5"}},
		{"256 GiB in the extended field", edit(func(s *structure) { s.word(0xc, 0x7fff); s.dword(0x1c, 256<<10) }), inventory.DIMM{SizeBytes: 256 << 30, Type: "DDR5"}},
		{"runs slower than it could", edit(func(s *structure) { s.word(0x15, 5600); s.word(0x20, 4800) }), inventory.DIMM{SizeBytes: 1 << 20, Type: "DDR5", SpeedMTs: 4800}},
		{"only its own speed", edit(func(s *structure) { s.word(0x15, 5600) }), inventory.DIMM{SizeBytes: 1 << 20, Type: "DDR5", SpeedMTs: 5600}},
		{"speed in the extended field", edit(func(s *structure) { s.word(0x20, 0xffff); s.dword(0x58, 70000) }), inventory.DIMM{SizeBytes: 1 << 20, Type: "DDR5", SpeedMTs: 70000}},
		{"widths unknown", edit(func(s *structure) { s.word(8, 0xffff); s.word(0xa, 64) }), inventory.DIMM{SizeBytes: 1 << 20, Type: "DDR5"}},
		{"DDR5 with ECC of 80 bits", edit(func(s *structure) { s.word(8, 80); s.word(0xa, 64) }), inventory.DIMM{SizeBytes: 1 << 20, Type: "DDR5", ECC: true}},
		{"maker as a JEDEC code", edit(func(s *structure) { s.text(0x17, "80CE000080CE") }), inventory.DIMM{SizeBytes: 1 << 20, Type: "DDR5", Manufacturer: "80CE000080CE"}},
		{"maker as a code and zeros", edit(func(s *structure) { s.text(0x17, "802C000000000000") }), inventory.DIMM{SizeBytes: 1 << 20, Type: "DDR5", Manufacturer: "Micron (802C000000000000)"}},
		{"maker as a repeated code", edit(func(s *structure) { s.text(0x17, "00AD063200AD") }), inventory.DIMM{SizeBytes: 1 << 20, Type: "DDR5", Manufacturer: "SK hynix (00AD063200AD)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parseSMBIOS(smbiosTables(3, 5, tt.rec))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, dimm(s.first(smbiosMemory))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBrokenTables(t *testing.T) {
	entry, table := smbiosTables(3, 2, biosRecord("A", "B", "C"), systemRecord("M", "P", "S", strings.Repeat("01", 16), ""))
	for _, tt := range []struct {
		name         string
		entry, table []byte
		records      int
		err          string
	}{
		{"whole", entry, table, 2, ""},
		{"no entry point", nil, table, 0, "no SMBIOS entry point"},
		{"wrong checksum", append([]byte("_SM3_\x00"), entry[6:]...), table, 0, "checksum"},
		{"cut in the second record", entry, table[:40], 1, "record 1"},
		{"length zero", entry, []byte{1, 0, 0, 0, 0, 0}, 0, "length 0"},
		{"length over the end", entry, []byte{1, 200, 0, 0, 0, 0}, 0, "length 200"},
		{"empty", entry, nil, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parseSMBIOS(tt.entry, tt.table)
			if len(s.records) != tt.records {
				t.Errorf("%d records, want %d", len(s.records), tt.records)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

// FuzzSMBIOS reads every field that Collect reads of hostile tables.
func FuzzSMBIOS(f *testing.F) {
	records := [][]byte{biosRecord("A", "B", "C"), systemRecord("M", "P", "S", strings.Repeat("01", 16), "K"), boardRecord("M", "P", "S", true), chassisRecord("M", 23, "S", "T", 2),
		cpuRecord("S", "M", "X", 1, 2, 3), dimmRecord("S", "B", 1<<20, 26, 1, "802C", "s", "p", true), ipmiRecord()}
	for _, v := range [][2]byte{{2, 4}, {2, 8}, {3, 7}} {
		entry, table := smbiosTables(v[0], v[1], records...)
		f.Add(entry, table)
	}
	f.Fuzz(func(t *testing.T, entry, table []byte) {
		s, _ := parseSMBIOS(entry, table)
		if len(s.records) == 0 {
			s = smbios{major: 3}
			for rest := table; len(rest) >= 4; {
				r, after, err := nextRecord(rest)
				if err != nil {
					break
				}
				s.records, rest = append(s.records, r), after
			}
		}
		r := &reading{tree: tree{root: t.TempDir()}, smbios: s}
		r.identity(&inventory.Facts{})
		r.firmware()
		r.cpus()
		r.memory()
	})
}
