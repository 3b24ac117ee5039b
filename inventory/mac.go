package inventory

import (
	"net"
	"strings"
)

// MAC is a 48-bit hardware address in canonical form: lower case, colons
// ("52:54:00:12:34:56"). The zero value is "no address". A MAC is a name, not a proof.
type MAC string

// ParseMAC accepts the notations people and protocols use (colons, hyphens, dots, or
// twelve bare hex digits) and returns the canonical form. Anything but six bytes, or
// a group or all-zero address, is ErrInvalid.
func ParseMAC(s string) (MAC, error) {
	text := strings.TrimSpace(s)
	if len(text) == 12 && !strings.ContainsAny(text, ":-.") {
		text = text[0:4] + "." + text[4:8] + "." + text[8:12]
	}
	hw, err := net.ParseMAC(text)
	if err != nil || len(hw) != 6 {
		return "", Invalid("MAC address %q (want six bytes like 52:54:00:12:34:56)", s)
	}
	return MACFrom(hw)
}

// MACFrom converts six bytes, as found in a packet's hardware address field.
func MACFrom(hw []byte) (MAC, error) {
	if len(hw) != 6 {
		return "", Invalid("hardware address of %d bytes", len(hw))
	}
	if hw[0]&1 != 0 {
		return "", Invalid("MAC address %s is a group address", net.HardwareAddr(hw))
	}
	if string(hw) == "\x00\x00\x00\x00\x00\x00" {
		return "", Invalid("MAC address is all zeros")
	}
	return MAC(net.HardwareAddr(hw).String()), nil
}

// Bytes returns the six bytes, or nil for the zero value.
func (m MAC) Bytes() net.HardwareAddr {
	hw, err := net.ParseMAC(string(m))
	if err != nil {
		return nil
	}
	return hw
}

// Hyphened returns the form used in file names and iPXE (52-54-00-12-34-56).
func (m MAC) Hyphened() string { return strings.ReplaceAll(string(m), ":", "-") }
