package dhcp

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

// Options that the packet library has no name for.
const (
	optionMachineUUID = dhcpv4.GenericOptionCode(97)
	// optionIPXE is the encapsulated option space of iPXE (and of gPXE before it).
	optionIPXE = dhcpv4.GenericOptionCode(175)
)

// Sub-options of option 82 (relay agent information).
const (
	relayLinkSelection    = 5  // RFC 3527
	relayServerIDOverride = 11 // RFC 5107
)

// request is a parsed packet from a client. Addresses that are 0.0.0.0 on the wire are
// the zero netip.Addr.
type request struct {
	msg  *dhcpv4.DHCPv4
	kind dhcpv4.MessageType
	mac  inventory.MAC
	// clientID is option 61 in hex.
	clientID string
	// hostname is option 12 when it is a valid name.
	hostname string

	ciaddr, giaddr netip.Addr
	// wanted is option 50, serverID option 54.
	wanted, serverID netip.Addr
	// linkSelection and serverIDOverride come from option 82.
	linkSelection, serverIDOverride netip.Addr

	// netboot: the client asks for something to boot; boot describes it.
	netboot bool
	boot    Client

	from inbound

	spare
}

// spare is room for the answer, which the next request uses again.
type spare struct {
	reply   dhcpv4.DHCPv4
	options dhcpv4.Options
	packet  []byte
}

// requests are those that were answered. A new one for each packet, with a new reply, was
// a third of the garbage.
var requests = sync.Pool{New: func() any {
	return &request{spare: spare{options: dhcpv4.Options{}, packet: make([]byte, 0, 1024)}}
}}

// release ends the use of a request, and of what it was answered with.
func (r *request) release() {
	clear(r.options)
	*r = request{spare: spare{options: r.options, packet: r.packet[:0]}}
	requests.Put(r)
}

// inbound is a datagram with where it came from.
type inbound struct {
	link *Link
	// port4011: it came to the PXE boot server port.
	port4011 bool
	source   netip.AddrPort
	// dest is the address it was sent to: broadcast, or one of ours.
	dest netip.Addr
	data []byte
	// parked: it has waited for the stock once, and does not again.
	parked bool
}

// unicast reports whether the packet was sent to one of our addresses.
func (in inbound) unicast() bool {
	return in.dest.IsValid() && in.link.owns(in.dest)
}

// parseRequest reads a client's packet. Errors tell why it is none that can be
// answered; they are the detail of a sighting.
func parseRequest(in inbound) (*request, error) {
	msg, err := dhcpv4.FromBytes(in.data)
	if err != nil {
		return nil, fmt.Errorf("parse packet: %w", err)
	}
	if msg.OpCode != dhcpv4.OpcodeBootRequest {
		return nil, fmt.Errorf("not a request")
	}
	mac, err := inventory.MACFrom(msg.ClientHWAddr)
	if err != nil {
		return nil, err
	}
	r := requests.Get().(*request)
	*r = request{spare: r.spare, msg: msg, kind: msg.MessageType(), mac: mac, from: in,
		ciaddr: addr(msg.ClientIPAddr), giaddr: addr(msg.GatewayIPAddr),
		wanted:   addr(msg.Options.Get(dhcpv4.OptionRequestedIPAddress)),
		serverID: addr(msg.Options.Get(dhcpv4.OptionServerIdentifier)),
		clientID: hex.EncodeToString(msg.Options.Get(dhcpv4.OptionClientIdentifier)),
		hostname: hostname(msg.Options.Get(dhcpv4.OptionHostName)),
	}
	if r.kind == dhcpv4.MessageTypeNone {
		return r, fmt.Errorf("BOOTP without option 53")
	}
	r.parseRelay()
	return r, r.parseBoot()
}

// addr converts wire bytes; anything but four bytes, and 0.0.0.0, is the zero Addr.
func addr(b []byte) netip.Addr {
	ip, ok := netip.AddrFromSlice(b)
	if !ok {
		return netip.Addr{}
	}
	ip = ip.Unmap()
	if !ip.Is4() || ip.IsUnspecified() {
		return netip.Addr{}
	}
	return ip
}

// hostname returns the name when it is made of RFC 1123 labels, else "": it goes into
// tables and pages.
func hostname(b []byte) string {
	name := strings.TrimRight(string(b), "\x00.")
	if len(name) == 0 || len(name) > 253 {
		return ""
	}
	for _, c := range []byte(name) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '.' {
			return ""
		}
	}
	return strings.ToLower(name)
}

func (r *request) parseRelay() {
	raw := r.msg.Options.Get(dhcpv4.OptionRelayAgentInformation)
	for len(raw) >= 2 && len(raw) >= 2+int(raw[1]) {
		value := raw[2 : 2+int(raw[1])]
		switch raw[0] {
		case relayLinkSelection:
			r.linkSelection = addr(value)
		case relayServerIDOverride:
			r.serverIDOverride = addr(value)
		}
		raw = raw[2+int(raw[1]):]
	}
}

// parseBoot finds out whether the client boots from the network, and as what.
func (r *request) parseBoot() error {
	opts := r.msg.Options
	b := &r.boot
	b.MAC, b.Relay, b.Via = r.mac, r.giaddr, r.from.link.Name
	b.Class = printable(opts.Get(dhcpv4.OptionClassIdentifier))
	b.UserClass = userClass(opts.Get(dhcpv4.OptionUserClassInformation))
	b.IsIPXE = b.UserClass == "iPXE" || opts.Has(optionIPXE)
	b.IsHTTP = strings.HasPrefix(b.Class, "HTTPClient") && !b.IsIPXE
	b.Port4011 = r.from.port4011
	b.Discover = r.kind == dhcpv4.MessageTypeDiscover
	if arch := opts.Get(dhcpv4.OptionClientSystemArchitectureType); len(arch) >= 2 {
		b.Arch, b.ArchKnown = Arch(uint16(arch[0])<<8|uint16(arch[1])), true
	} else {
		b.Arch, b.ArchKnown = archFromClass(b.Class)
	}
	r.netboot = r.speaksPXE() || b.IsIPXE || strings.HasPrefix(b.Class, "U-Boot") ||
		opts.Has(dhcpv4.OptionClientSystemArchitectureType)
	uuid := opts.Get(optionMachineUUID)
	if len(uuid) == 0 || !r.netboot {
		return nil
	}
	if len(uuid) != 17 || uuid[0] != 0 {
		return fmt.Errorf("option 97 of %d bytes, type %d (want 17 bytes, type 0)", len(uuid), uuid[0])
	}
	b.UUID = smbiosUUID(uuid[1:])
	return nil
}

// speaksPXE reports whether the client knows the PXE or HTTP boot protocol, and with
// it the answers of a proxy. Others (U-Boot) take only what comes with an address.
func (r *request) speaksPXE() bool {
	return strings.HasPrefix(r.boot.Class, "PXEClient") || strings.HasPrefix(r.boot.Class, "HTTPClient")
}

// smbiosUUID formats sixteen bytes whose first three fields are little-endian, as
// RFC 4578 section 2.3 (by way of the EFI specification) has them.
func smbiosUUID(b []byte) string {
	return fmt.Sprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%x-%x",
		b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8:10], b[10:16])
}

// userClass reads option 77: RFC 3004 has a list of length-prefixed strings, iPXE sends
// the bare string.
func userClass(b []byte) string {
	if len(b) > 1 && int(b[0]) <= len(b)-1 && b[0] < ' ' {
		return printable(b[1 : 1+int(b[0])])
	}
	return printable(b)
}

// printable keeps what is safe to log: ASCII, at most 128 bytes.
func printable(b []byte) string {
	if len(b) > 128 {
		b = b[:128]
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return -1
		}
		return c
	}, string(b))
}
