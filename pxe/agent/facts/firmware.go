package facts

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"ingot/inventory"
)

const (
	efiDir  = "sys/firmware/efi"
	efiVars = efiDir + "/efivars"
	// efiGlobal is the vendor of the variables the specification names (UEFI 2.10, 3.3).
	efiGlobal = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
)

// maxBootEntries bounds the labels that are read of a boot order.
const maxBootEntries = 64

// firmware reads SMBIOS type 0, or what the kernel keeps of it, and the EFI variables.
func (r *reading) firmware() inventory.Firmware {
	b := r.smbios.first(smbiosBIOS)
	f := inventory.Firmware{Vendor: b.text(4), Version: b.text(5), Date: b.text(8)}
	if b.data == nil {
		f = inventory.Firmware{Vendor: r.text(dmiID, "bios_vendor"), Version: r.text(dmiID, "bios_version"), Date: r.text(dmiID, "bios_date")}
	}
	f.Mode, f.SecureBoot = inventory.FirmwareBIOS, inventory.SecureBootUnsupported
	if !r.exists(efiDir) {
		return f
	}
	f.Mode, f.SecureBoot = inventory.FirmwareUEFI, inventory.SecureBootUnknown
	if len(r.names(efiVars)) == 0 {
		r.note("EFI variables: none in /%s (is efivarfs mounted?)", efiVars)
		return f
	}
	f.SecureBoot, f.BootOrder = r.secureBoot(), r.bootOrder()
	return f
}

// efiVariable reads a global variable without the four bytes of attributes that efivarfs
// puts before the value; nil when it isn't there.
func (r *reading) efiVariable(name string) []byte {
	if data := r.bytes(efiVars + "/" + name + "-" + efiGlobal); len(data) > 4 {
		return data[4:]
	}
	return nil
}

// secureBoot reads SecureBoot and SetupMode (UEFI 2.10, 32.3). In setup mode no platform
// key is enrolled and nothing is enforced, whatever the menu says.
func (r *reading) secureBoot() inventory.SecureBootState {
	enforced, setup := r.efiVariable("SecureBoot"), r.efiVariable("SetupMode")
	switch {
	case len(enforced) == 0:
		return inventory.SecureBootUnsupported
	case enforced[0] == 1:
		return inventory.SecureBootOn
	case len(setup) > 0 && setup[0] == 1:
		return inventory.SecureBootSetup
	}
	return inventory.SecureBootOff
}

// bootOrder lists the labels of BootOrder's entries; an entry that is missing shows as
// its number.
func (r *reading) bootOrder() []string {
	order := r.efiVariable("BootOrder")
	var out []string
	for i := 0; i+1 < len(order) && len(out) < maxBootEntries; i += 2 {
		name := fmt.Sprintf("Boot%04X", binary.LittleEndian.Uint16(order[i:]))
		label := loadOptionLabel(r.efiVariable(name))
		if label == "" {
			label = name
		}
		out = append(out, label)
	}
	return out
}

// loadOptionLabel reads the description of an EFI_LOAD_OPTION: UCS-2 after four bytes of
// attributes and two of length, up to a zero (UEFI 2.10, 3.1.3).
func loadOptionLabel(b []byte) string {
	var units []uint16
	for i := 6; i+1 < len(b); i += 2 {
		u := binary.LittleEndian.Uint16(b[i:])
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return clean(string(utf16.Decode(units)))
}
