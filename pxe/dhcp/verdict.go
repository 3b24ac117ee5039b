package dhcp

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

// verdict is what is decided while the lock is held; finish makes a packet of it.
type verdict struct {
	kind dhcpv4.MessageType
	ip   netip.Addr
	name string
	rows []inventory.Address
	why  string
	// park: answer when the stock is filled again.
	park bool
	// other is the server that the client chose instead.
	other netip.Addr
	// announce is an event that goes with it.
	announce inventory.Payload
	// saw is the sighting of a silence, SawIgnored when empty.
	saw inventory.SightingKind
}

func quiet(format string, args ...any) verdict { return verdict{why: fmt.Sprintf(format, args...)} }

// finish makes a packet of a verdict, and asks what the client boots.
func (s *Server) finish(ctx context.Context, v *visit, n *inventory.Network, d verdict) answer {
	switch d.kind {
	case dhcpv4.MessageTypeNone:
		return answer{why: d.why, saw: d.saw, rows: d.rows}
	case dhcpv4.MessageTypeNak:
		return answer{reply: nak(v.request, v.server, d.why)}
	}
	reply := newReply(v.request, d.kind, v.server)
	lease := leaseTime(n)
	if d.ip.IsValid() {
		reply.YourIPAddr = d.ip.AsSlice()
	} else {
		lease = 0
	}
	if v.ciaddr.IsValid() {
		reply.ClientIPAddr = v.msg.ClientIPAddr
	}
	addNetwork(reply, v.request, n, d.name, lease)
	out := answer{reply: reply, rows: d.rows}
	if v.netboot {
		v.boot.IP = firstValid(d.ip, v.ciaddr)
		addPXE(reply, v.request)
		out.note = addBoot(reply, v.request, s.cfg.Booter.Boot(ctx, v.boot), v.boot.Server)
	}
	return out
}

// nak is RFC 2131 table 3's DHCPNAK: nothing but the server identifier and a message.
func nak(r *request, server netip.Addr, why string) *dhcpv4.DHCPv4 {
	reply := newReply(r, dhcpv4.MessageTypeNak, server)
	reply.Options[dhcpv4.OptionMessage.Code()] = []byte(why)
	if r.giaddr.IsValid() {
		reply.SetBroadcast() // the relay must not answer to an address that isn't the client's
	}
	return reply
}
