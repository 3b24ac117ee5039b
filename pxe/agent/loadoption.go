package agent

import (
	"encoding/binary"
	"unicode/utf16"
)

// loaderPath is the removable-media path, which every image has (UEFI 2.10 section
// 3.5.1.1).
const loaderPath = `\EFI\BOOT\BOOTX64.EFI`

// Device path nodes (UEFI 2.10 sections 10.3.1 to 10.3.5).
const (
	nodeMessaging = 3
	nodeMedia     = 4
	nodeEnd       = 0x7f

	messagingMAC = 11
	mediaDrive   = 1
	mediaFile    = 4
)

// loadOption builds an EFI_LOAD_OPTION with the short-form path HD(...)/File(...), which
// firmware finds on whatever controller the disk hangs (UEFI 2.10 section 3.1.2).
func loadOption(label string, esp *espEntry) []byte {
	le := binary.LittleEndian
	drive := le.AppendUint32(nil, esp.number)
	drive = le.AppendUint64(drive, esp.startLBA)
	drive = le.AppendUint64(drive, esp.sectors)
	drive = append(drive, esp.id[:]...)
	drive = append(drive, 2, 2) // GPT; the signature is a GUID (section 10.3.5.1)
	path := appendNode(nil, nodeMedia, mediaDrive, drive)
	path = appendNode(path, nodeMedia, mediaFile, ucs2(loaderPath))
	path = appendNode(path, nodeEnd, 0xff, nil)
	out := le.AppendUint32(nil, 1) // LOAD_OPTION_ACTIVE
	out = le.AppendUint16(out, uint16(len(path)))
	out = append(out, ucs2(label)...)
	return append(out, path...)
}

func appendNode(path []byte, kind, sub byte, data []byte) []byte {
	path = binary.LittleEndian.AppendUint16(append(path, kind, sub), uint16(4+len(data)))
	return append(path, data...)
}

func ucs2(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s + "\x00")) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

// optionLabel reads the description of an EFI_LOAD_OPTION (UEFI 2.10 section 3.1.3).
func optionLabel(option []byte) (string, bool) {
	label, _, ok := splitOption(option)
	return label, ok
}

func splitOption(option []byte) (label string, path []byte, ok bool) {
	if len(option) < 6 {
		return "", nil, false
	}
	pathBytes := int(binary.LittleEndian.Uint16(option[4:]))
	var units []uint16
	for rest := option[6:]; len(rest) >= 2; rest = rest[2:] {
		u := binary.LittleEndian.Uint16(rest)
		if u != 0 {
			units = append(units, u)
			continue
		}
		path = rest[2:]
		return string(utf16.Decode(units)), path[:min(len(path), pathBytes)], true
	}
	return "", nil, false
}

// isNetwork reports whether an option boots from a NIC: its path has a MAC address node.
func isNetwork(option []byte) bool {
	_, path, _ := splitOption(option)
	for len(path) >= 4 {
		kind, sub, n := path[0], path[1], int(binary.LittleEndian.Uint16(path[2:]))
		if kind == nodeMessaging && sub == messagingMAC {
			return true
		}
		if kind == nodeEnd || n < 4 || n > len(path) {
			return false
		}
		path = path[n:]
	}
	return false
}
