package facts

import (
	"encoding/binary"
	"encoding/hex"
	"path"
	"strings"

	"ingot/inventory"
)

// vendorATA stands in the vendor field of disks that are ATA behind a translation (SAT-5,
// 10.3.2).
const vendorATA = "ATA"

// name fills model, vendor, serial, WWN and firmware from the files of the disk's kind:
// NVMe controllers and SCSI devices have theirs below device, virtio disks beside it.
func (t tree) name(d *inventory.Disk, dir string) {
	dev := path.Join(dir, "device")
	d.Model, d.Serial = t.text(dev, "model"), t.text(dev, "serial")
	d.WWN = wwn(t.text(dir, "wwid"))
	switch d.Transport {
	case "nvme":
		d.Firmware = t.text(dev, "firmware_rev")
	case "virtio":
		d.Serial = t.text(dir, "serial")
	case "mmc":
		d.Model, d.Firmware = t.text(dev, "name"), t.text(dev, "fwrev")
	default:
		t.scsiName(d, dev)
	}
}

// scsiName reads a SCSI device. Its inquiry data cut the model of an ATA disk to 16
// characters; the ATA information page (SAT-5, 12.4.2) has the whole identity.
func (t tree) scsiName(d *inventory.Disk, dev string) {
	d.Vendor, d.Firmware = t.text(dev, "vendor"), t.text(dev, "rev")
	d.Serial = unitSerial(t.bytes(dev + "/vpd_pg80"))
	d.WWN = wwn(t.text(dev, "wwid"))
	if d.WWN == "" {
		d.WWN = designatedWWN(t.bytes(dev + "/vpd_pg83"))
	}
	if d.Vendor != vendorATA {
		return
	}
	d.Vendor = ""
	if page := t.bytes(dev + "/vpd_pg89"); len(page) >= 60+ataIdentifyBytes {
		id := parseATAIdentify(page[60:])
		d.Model, d.Firmware, d.Serial = orKeep(id.model, d.Model), orKeep(id.firmware, d.Firmware), orKeep(id.serial, d.Serial)
		if d.WWN == "" {
			d.WWN = id.wwn
		}
	}
}

func orKeep(better, have string) string {
	if better != "" {
		return better
	}
	return have
}

// wwn writes the kernel's wwid as lsblk and udev show a WWN: "0x" and the digits for an
// NAA name, "eui." and "uuid." as they are. Names that are put together from vendor,
// model and serial ("t10.", "nvme.") are not world-wide and say nothing new.
func wwn(wwid string) string {
	wwid = strings.ToLower(wwid)
	if digits, ok := strings.CutPrefix(wwid, "naa."); ok && allHex(digits) {
		return "0x" + digits
	}
	if digits, ok := strings.CutPrefix(wwid, "eui."); ok && allHex(digits) && strings.Trim(digits, "0") != "" {
		return wwid
	}
	if strings.HasPrefix(wwid, "uuid.") {
		return wwid
	}
	return ""
}

func allHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && s != ""
}

// unitSerial reads the unit serial number page 80h (SPC-5, 7.7.18): four bytes of header
// with the length, then text.
func unitSerial(page []byte) string {
	if len(page) < 4 || page[1] != 0x80 {
		return ""
	}
	n := int(binary.BigEndian.Uint16(page[2:]))
	return clean(string(page[4 : 4+min(n, len(page)-4)]))
}

// designatedWWN reads the device identification page 83h (SPC-5, 7.7.6) and takes the
// NAA (3) or EUI-64 (2) name of the logical unit (association 0), an NAA name first.
func designatedWWN(page []byte) string {
	if len(page) < 4 || page[1] != 0x83 {
		return ""
	}
	eui := ""
	for rest := page[4:min(len(page), 4+int(binary.BigEndian.Uint16(page[2:])))]; len(rest) >= 4; {
		n := int(rest[3])
		if n > len(rest)-4 {
			break
		}
		name := rest[4 : 4+n]
		switch rest[1] & 0x3f { // association and type
		case 3:
			if n == 8 || n == 16 {
				return "0x" + hex.EncodeToString(name)
			}
		case 2:
			eui = "eui." + hex.EncodeToString(name)
		}
		rest = rest[4+n:]
	}
	return eui
}
