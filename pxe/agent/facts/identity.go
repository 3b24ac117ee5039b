package facts

import (
	"strings"

	"ingot/inventory"
)

const (
	dmiTables = "sys/firmware/dmi/tables/"
	dmiID     = "sys/class/dmi/id"
)

// readSMBIOS reads the tables that the kernel copied at boot. Machines without them
// (some VMs and ARM boards) give an empty table and a note.
func (r *reading) readSMBIOS() smbios {
	entry := r.bytes(dmiTables + "smbios_entry_point")
	if entry == nil {
		r.note("SMBIOS: no %s", "/"+dmiTables+"smbios_entry_point")
		return smbios{}
	}
	s, err := parseSMBIOS(entry, r.bytes(dmiTables+"DMI"))
	if err != nil {
		r.note("SMBIOS: %v", err)
	}
	return s
}

// identity fills what the machine is called: SMBIOS types 1, 2 and 3, or what the kernel
// keeps of them in /sys/class/dmi/id.
func (r *reading) identity(f *inventory.Facts) {
	if len(r.smbios.records) == 0 {
		r.identityByID(f)
		return
	}
	s := r.smbios.first(smbiosSystem)
	f.System = inventory.System{Manufacturer: s.text(4), Product: s.text(5), Version: s.text(6), Serial: s.text(7),
		UUID: s.uuid(8, r.smbios), SKU: s.text(0x19), Family: s.text(0x1a)}
	b := r.mainBoard()
	f.Board = inventory.Board{Manufacturer: b.text(4), Product: b.text(5), Version: b.text(6), Serial: b.text(7), AssetTag: b.text(8)}
	c := r.smbios.first(smbiosChassis)
	f.Chassis = inventory.Chassis{Manufacturer: c.text(4), Type: chassisType(c.byteAt(5)), Serial: c.text(7), AssetTag: c.text(8),
		HeightU: int(c.byteAt(0x11))}
}

// mainBoard is the one that says it hosts the system (DSP0134 7.3.1, bit 0), since blades
// and riser cards have boards too; else the first.
func (r *reading) mainBoard() record {
	for _, b := range r.smbios.all(smbiosBoard) {
		if b.byteAt(9)&1 != 0 {
			return b
		}
	}
	return r.smbios.first(smbiosBoard)
}

func (r *reading) identityByID(f *inventory.Facts) {
	id := func(name string) string { return r.text(dmiID, name) }
	f.System = inventory.System{Manufacturer: id("sys_vendor"), Product: id("product_name"), Version: id("product_version"),
		Serial: id("product_serial"), UUID: strings.ToLower(id("product_uuid")), SKU: id("product_sku"), Family: id("product_family")}
	f.Board = inventory.Board{Manufacturer: id("board_vendor"), Product: id("board_name"), Version: id("board_version"),
		Serial: id("board_serial"), AssetTag: id("board_asset_tag")}
	f.Chassis = inventory.Chassis{Manufacturer: id("chassis_vendor"), Type: chassisType(byte(r.number(dmiID, "chassis_type"))),
		Serial: id("chassis_serial"), AssetTag: id("chassis_asset_tag")}
}

// chassisTypes are the values of DSP0134 7.4.1, from 1 on; 1 and 2 (other, unknown) say
// nothing.
var chassisTypes = []string{"", "", "desktop", "low profile desktop", "pizza box", "mini tower", "tower", "portable", "laptop", "notebook",
	"hand held", "docking station", "all in one", "sub notebook", "space-saving", "lunch box", "main server chassis", "expansion chassis",
	"sub chassis", "bus expansion chassis", "peripheral chassis", "RAID chassis", "rack mount", "sealed-case PC", "multi-system chassis",
	"CompactPCI", "AdvancedTCA", "blade", "blade enclosure", "tablet", "convertible", "detachable", "IoT gateway", "embedded PC", "mini PC", "stick PC"}

// chassisType says the type in words; bit 7 is the lock's.
func chassisType(b byte) string {
	if n := int(b & 0x7f); n >= 1 && n <= len(chassisTypes) {
		return chassisTypes[n-1]
	}
	return ""
}
