package dhcp

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

// OtherServer is an OFFER or ACK that another server sent on a link.
type OtherServer struct {
	// IP is the server identifier (option 54), or the packet's source.
	IP  netip.Addr
	MAC inventory.MAC
	// Client is whom it answered; Given the address it gave, zero for a proxy.
	Client inventory.MAC
	Given  netip.Addr
}

// Sniffer asks a link for servers and hears their answers. OpenSniffer makes one.
type Sniffer interface {
	// Discover sends a DISCOVER of our own.
	Discover() error
	// Next waits for an answer of any server to any client; net.ErrClosed after Close.
	Next() (OtherServer, error)
	Close() error
}

// parseReplyFrame reads an Ethernet frame that carries a server's OFFER or ACK.
func parseReplyFrame(b []byte) (OtherServer, bool) {
	if len(b) < 14+20+8 || binary.BigEndian.Uint16(b[12:]) != 0x0800 || b[14]>>4 != 4 || b[23] != 17 {
		return OtherServer{}, false
	}
	header := int(b[14]&15) * 4
	if header < 20 || len(b) < 14+header+8 || binary.BigEndian.Uint16(b[20:])&0x1fff != 0 {
		return OtherServer{}, false
	}
	udp := b[14+header:]
	if binary.BigEndian.Uint16(udp[2:]) != clientPort {
		return OtherServer{}, false
	}
	msg, err := dhcpv4.FromBytes(udp[8:])
	if err != nil || msg.OpCode != dhcpv4.OpcodeBootReply {
		return OtherServer{}, false
	}
	if kind := msg.MessageType(); kind != dhcpv4.MessageTypeOffer && kind != dhcpv4.MessageTypeAck {
		return OtherServer{}, false
	}
	o := OtherServer{IP: addr(msg.Options.Get(dhcpv4.OptionServerIdentifier)), Given: addr(msg.YourIPAddr)}
	if !o.IP.IsValid() {
		o.IP = addr(b[26:30])
	}
	o.MAC, _ = inventory.MACFrom(b[6:12])             // zero when it is none
	o.Client, _ = inventory.MACFrom(msg.ClientHWAddr) // the same
	return o, o.IP.IsValid()
}

// discoverFrame is a DISCOVER of ours that asks for a broadcast answer.
func discoverFrame(mac inventory.MAC, xid [4]byte) []byte {
	msg := &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootRequest, HWType: 1, TransactionID: xid,
		ClientHWAddr: mac.Bytes(), ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero,
		ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4zero, Options: dhcpv4.Options{}}
	msg.SetBroadcast()
	msg.Options[dhcpv4.OptionDHCPMessageType.Code()] = []byte{byte(dhcpv4.MessageTypeDiscover)}
	msg.Options[dhcpv4.OptionParameterRequestList.Code()] = []byte{1, 3, 6}
	return frame(broadcastMAC, mac, netip.AddrPortFrom(netip.IPv4Unspecified(), clientPort),
		netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), serverPort), msg.ToBytes())
}
