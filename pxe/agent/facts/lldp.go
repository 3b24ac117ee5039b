package facts

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"ingot/inventory"
)

// The TLV types that are read (IEEE 802.1AB-2016, table 8-1).
const (
	lldpEnd             = 0
	lldpChassisID       = 1
	lldpPortID          = 2
	lldpTTL             = 3
	lldpPortDescription = 4
	lldpSystemName      = 5
	lldpManagement      = 8
	lldpOrganisation    = 127
)

// etherTypeLLDP is the frame type of LLDP (IEEE 802.1AB-2016, 7.4).
const etherTypeLLDP = 0x88cc

// heard is one LLDP frame: who sent it, and for how long that holds.
type heard struct {
	neighbour inventory.Neighbour
	// ttl is 0 when the sender says goodbye.
	ttl time.Duration
}

// parseLLDP reads an Ethernet frame with an LLDPDU. The first three TLVs must be chassis,
// port and time to live, in this order (IEEE 802.1AB-2016, 8.2); others may come in any
// order, and unknown ones are skipped. A TLV that reaches over the end makes the frame
// invalid.
func parseLLDP(frame []byte) (heard, error) {
	if len(frame) < 14 || binary.BigEndian.Uint16(frame[12:]) != etherTypeLLDP {
		return heard{}, errors.New("no LLDP frame")
	}
	var h heard
	rest := frame[14:]
	for n := 0; ; n++ {
		kind, value, after, err := nextTLV(rest)
		if err != nil {
			return heard{}, fmt.Errorf("TLV %d: %w", n, err)
		}
		if n < 3 && kind != n+1 {
			return heard{}, fmt.Errorf("TLV %d has type %d, want %d", n, kind, n+1)
		}
		if kind == lldpEnd {
			return h, nil
		}
		if err := h.take(kind, value); err != nil {
			return heard{}, err
		}
		if rest = after; len(rest) == 0 && n >= 2 {
			return h, nil // the end TLV is optional since 802.1AB-2016
		}
	}
}

// nextTLV splits one off: seven bits of type, nine of length.
func nextTLV(b []byte) (kind int, value, rest []byte, err error) {
	if len(b) < 2 {
		return 0, nil, nil, errors.New("frame ends in a header")
	}
	head := binary.BigEndian.Uint16(b)
	size := int(head & 0x1ff)
	if size > len(b)-2 {
		return 0, nil, nil, fmt.Errorf("length %d of %d bytes left", size, len(b)-2)
	}
	return int(head >> 9), b[2 : 2+size], b[2+size:], nil
}

func (h *heard) take(kind int, v []byte) error {
	switch kind {
	case lldpChassisID:
		h.neighbour.ChassisID = lldpName(v, 4, 5)
	case lldpPortID:
		h.neighbour.PortID = lldpName(v, 3, 4)
	case lldpTTL:
		if len(v) < 2 {
			return errors.New("time to live is too short")
		}
		h.ttl = time.Duration(binary.BigEndian.Uint16(v)) * time.Second
	case lldpPortDescription:
		h.neighbour.PortDescription = clean(string(v))
	case lldpSystemName:
		h.neighbour.SystemName = clean(string(v))
	case lldpManagement:
		if h.neighbour.Management == "" {
			h.neighbour.Management = lldpAddress(v)
		}
	case lldpOrganisation:
		// IEEE 802.1, port VLAN ID (802.1Q-2018, D.2.1).
		if len(v) >= 6 && [4]byte(v) == [4]byte{0x00, 0x80, 0xc2, 1} {
			h.neighbour.VLAN = int(binary.BigEndian.Uint16(v[4:]) & 0xfff)
		}
	}
	return nil
}

// lldpName writes a chassis or port id: MAC and network address by their subtypes, which
// differ between the two (8.5.2.2, 8.5.3.2), the others as text, or in hexadecimal when
// they are none.
func lldpName(v []byte, macSubtype, addressSubtype byte) string {
	if len(v) < 2 {
		return ""
	}
	id := v[1:]
	switch {
	case v[0] == macSubtype && len(id) == 6:
		return net.HardwareAddr(id).String()
	case v[0] == addressSubtype:
		return ipOfFamily(id)
	}
	if text := clean(string(id)); text != "" && len(text) == len(id) {
		return text
	}
	return hex.EncodeToString(id)
}

// lldpAddress reads a management address: its length, then family and address (8.5.9).
func lldpAddress(v []byte) string {
	if len(v) < 2 || int(v[0]) > len(v)-1 {
		return ""
	}
	return ipOfFamily(v[1 : 1+int(v[0])])
}

// ipOfFamily reads an IANA address family number, 1 for IPv4, 2 for IPv6 and 6 for a
// MAC, and the address.
func ipOfFamily(b []byte) string {
	if len(b) < 2 {
		return ""
	}
	if b[0] == 6 && len(b) == 7 {
		return net.HardwareAddr(b[1:]).String()
	}
	if ip, ok := netip.AddrFromSlice(b[1:]); ok && (b[0] == 1 && ip.Is4() || b[0] == 2 && ip.Is6()) {
		return ip.String()
	}
	return hex.EncodeToString(b)
}
