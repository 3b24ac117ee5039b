package dhcp

import (
	"encoding/binary"
	"net"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// bootpBytes is the least length of a message (RFC 951); relays drop shorter ones.
const bootpBytes = 300

// appendMessage appends what [dhcpv4.DHCPv4.ToBytes] returns, with no memory of its own:
// of what a busy server allocates, that was a fifth.
func appendMessage(b []byte, m *dhcpv4.DHCPv4) []byte {
	start := len(b)
	b = append(b, byte(m.OpCode), byte(m.HWType), byte(len(m.ClientHWAddr)), m.HopCount)
	b = append(b, m.TransactionID[:]...)
	b = binary.BigEndian.AppendUint16(b, m.NumSeconds)
	b = binary.BigEndian.AppendUint16(b, m.Flags)
	for _, ip := range []net.IP{m.ClientIPAddr, m.YourIPAddr, m.ServerIPAddr, m.GatewayIPAddr} {
		b = appendField(b, ip.To4(), 4)
	}
	b = appendField(b, m.ClientHWAddr, 16)
	b = appendField(b, m.ServerHostName[:min(63, len(m.ServerHostName))], 64)
	b = appendField(b, m.BootFileName[:min(127, len(m.BootFileName))], 128)
	b = append(b, 99, 130, 83, 99) // the cookie of RFC 2131 section 3
	b = appendOptions(b, m.Options)
	b = append(b, dhcpv4.OptionEnd.Code())
	for len(b)-start < bootpBytes {
		b = append(b, dhcpv4.OptionPad.Code())
	}
	return b
}

// appendField appends a field of a fixed length, with zeros behind the value.
func appendField[T ~[]byte | string](b []byte, value T, length int) []byte {
	end := len(b) + length
	for b = append(b, value[:min(length, len(value))]...); len(b) < end; {
		b = append(b, 0)
	}
	return b
}

// appendOptions appends the options in the order of their codes, option 82 last
// (RFC 3046 section 2.1), those over 255 bytes in parts (RFC 3396).
func appendOptions(b []byte, opts dhcpv4.Options) []byte {
	var room [64]byte
	codes := room[:0]
	for code := range opts {
		codes = append(codes, code)
	}
	slices.SortFunc(codes, func(x, y byte) int { return rank(x) - rank(y) })
	for _, code := range codes {
		value := opts[code]
		for first := true; first || len(value) > 0; first = false {
			n := min(len(value), 255)
			b = append(append(b, code, byte(n)), value[:n]...)
			value = value[n:]
		}
	}
	return b
}

func rank(code byte) int {
	if code == dhcpv4.OptionRelayAgentInformation.Code() {
		return 256
	}
	return int(code)
}
