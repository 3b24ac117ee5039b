package dhcp

import (
	"context"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// proxy answers on UDP 67 where another server gives the addresses: an offer without an
// address to a DISCOVER that speaks PXE or HTTP boot (PXE 2.1 section 2.2.3), nothing
// else. It notes which server a client chooses.
func (s *Server) proxy(ctx context.Context, r *request, server netip.Addr) answer {
	switch {
	case r.kind == dhcpv4.MessageTypeRequest && r.serverID.IsValid() && r.serverID != server:
		s.otherChosen(r, r.serverID)
		return answer{}
	case r.kind != dhcpv4.MessageTypeDiscover:
		return answer{}
	case !r.netboot:
		return answer{}
	case !r.speaksPXE():
		return silence("a client of this class reads no proxy offers")
	}
	return s.bootReply(ctx, r, dhcpv4.MessageTypeOffer, server)
}

// bootServer answers on UDP 4011: UEFI asks there for the boot file once it has its
// address, whoever gave that (PXE 2.1 section 2.2.4). OVMF does so even when our own
// offer named the file.
func (s *Server) bootServer(ctx context.Context, r *request, server netip.Addr) answer {
	if r.kind != dhcpv4.MessageTypeRequest && r.kind != dhcpv4.MessageTypeInform {
		return silence("port 4011 takes only REQUEST and INFORM")
	}
	if !r.speaksPXE() {
		return silence("not a PXE client")
	}
	r.boot.IP = firstValid(r.ciaddr, addr(r.from.source.Addr().AsSlice()))
	a := s.bootReply(ctx, r, dhcpv4.MessageTypeAck, server)
	if a.reply != nil {
		a.reply.ClientIPAddr = r.msg.ClientIPAddr
	}
	return a
}

// bootReply is a reply that gives a boot file and nothing else.
func (s *Server) bootReply(ctx context.Context, r *request, kind dhcpv4.MessageType, server netip.Addr) answer {
	reply := newReply(r, kind, server)
	addPXE(reply, r)
	if why := addBoot(reply, r, s.cfg.Booter.Boot(ctx, r.boot), r.boot.Server); why != "" {
		return silence(why)
	}
	return answer{reply: reply}
}
