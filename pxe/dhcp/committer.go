package dhcp

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

const (
	// groupMax bounds one commit.
	groupMax = 512
	// commitTime bounds the wait for the store; the clients repeat themselves.
	commitTime = 10 * time.Second
)

// commit makes leases durable in groups: whatever waits goes into the next group; there
// is no timer. The replies that waited for a group are sent while the next one is
// written. It ends when the channel is closed and empty.
func (s *Server) commit(ctx context.Context) {
	durable := make(chan []outgoing, 1)
	var sending sync.WaitGroup
	sending.Go(func() {
		for group := range durable {
			for _, out := range group {
				s.send(out)
			}
		}
	})
	for first := range s.commits {
		durable <- s.commitGroup(ctx, s.gather(first))
	}
	close(durable)
	sending.Wait()
}

// gather returns all that waits, first at the front.
func (s *Server) gather(first outgoing) []outgoing {
	group := append(make([]outgoing, 0, len(s.commits)+1), first)
	for len(group) < groupMax {
		select {
		case out, ok := <-s.commits:
			if !ok {
				return group
			}
			group = append(group, out)
		default:
			return group
		}
	}
	return group
}

// commitGroup writes a group at once and returns what can be sent; if it is refused,
// each of it alone, so that one conflict does not keep an address from the others.
func (s *Server) commitGroup(ctx context.Context, group []outgoing) []outgoing {
	err := s.write(ctx, group)
	if err != nil && len(group) > 1 && errors.Is(err, inventory.ErrConflict) {
		var done []outgoing
		for i := range group {
			done = append(done, s.commitGroup(ctx, group[i:i+1])...)
		}
		return done
	}
	if err != nil {
		s.refused(group, err)
		return nil
	}
	s.mu.Lock()
	for _, out := range group {
		if b := s.byName[out.net]; b != nil && out.reply != nil {
			for _, row := range out.rows {
				b.record(row)
			}
		}
	}
	s.mu.Unlock()
	return group
}

func (s *Server) write(ctx context.Context, group []outgoing) error {
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	rows := make([]inventory.Address, 0, len(group))
	for _, out := range group {
		rows = append(rows, out.rows...)
	}
	err := s.cfg.Leases.Commit(ctx, rows)
	if err == nil {
		s.stats.Commits.Add(1)
		s.stats.Committed.Add(int64(len(rows)))
	}
	return err
}

// refused: nothing was written, so nothing is sent. An address in conflict is not
// offered again for a while.
func (s *Server) refused(group []outgoing, err error) {
	now := s.cfg.Now()
	for _, out := range group {
		s.log.Error("commit lease", "mac", out.req.mac, "ip", out.rows[0].IP, "err", err)
		s.saw(out.req, inventory.SawIgnored, "lease could not be written", inventory.SightingValues{
			Network: out.net, IP: out.rows[0].IP.String(), Error: err.Error()})
		if !errors.Is(err, inventory.ErrConflict) {
			continue
		}
		s.mu.Lock()
		if b := s.byName[out.net]; b != nil {
			b.record(inventory.Address{IP: out.rows[0].IP, Network: out.net, Use: inventory.AddressQuarantined,
				Expires: now.Add(time.Minute), Updated: now, Reason: err.Error()})
		}
		s.mu.Unlock()
	}
}

// send transmits a reply as RFC 2131 section 4.1 says.
func (s *Server) send(out outgoing) {
	if out.reply == nil {
		return
	}
	packet := fitMessage(out.reply, out.req)
	at := s.cfg.Now() // before it leaves: what the client does next is seen later
	if err := s.transmit(out, packet); err != nil {
		s.log.Warn("send reply", "mac", out.req.mac, "interface", out.req.from.link.Name, "err", err)
		s.saw(out.req, inventory.SawIgnored, "reply could not be sent", inventory.SightingValues{Network: out.net, Error: err.Error()})
		return
	}
	s.stats.Answered.Add(1)
	s.sawReply(out, at)
	out.req.release()
}

func (s *Server) transmit(out outgoing, packet []byte) error {
	r, l := out.req, out.req.from.link
	source := out.req.boot.Server
	broadcast := netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), clientPort)
	isNak := out.reply.MessageType() == dhcpv4.MessageTypeNak
	yiaddr := addr(out.reply.YourIPAddr)
	switch {
	case r.from.port4011:
		to := netip.AddrPortFrom(firstValid(addr(r.from.source.Addr().AsSlice()), r.ciaddr), r.from.source.Port())
		return l.PXE.Write(packet, source, to)
	case r.giaddr.IsValid():
		return l.DHCP.Write(packet, source, netip.AddrPortFrom(r.giaddr, serverPort))
	case r.ciaddr.IsValid() && !isNak:
		return l.DHCP.Write(packet, source, netip.AddrPortFrom(r.ciaddr, clientPort))
	case r.msg.IsBroadcast() || isNak || !yiaddr.IsValid() || l.Frames == nil:
		return l.DHCP.Write(packet, source, broadcast)
	}
	return l.Frames.Send(frame(r.mac, l.MAC, netip.AddrPortFrom(source, serverPort),
		netip.AddrPortFrom(yiaddr, clientPort), packet))
}

var replySightings = map[dhcpv4.MessageType]inventory.SightingKind{
	dhcpv4.MessageTypeOffer: inventory.SawOffer,
	dhcpv4.MessageTypeAck:   inventory.SawAck,
	dhcpv4.MessageTypeNak:   inventory.SawNak,
}

func (s *Server) sawReply(out outgoing, at time.Time) {
	v := inventory.SightingValues{Network: out.net, Error: out.note}
	if ip := addr(out.reply.YourIPAddr); ip.IsValid() {
		v.IP = ip.String()
	}
	kind := out.reply.MessageType()
	detail := out.reply.BootFileName
	if kind == dhcpv4.MessageTypeNak {
		detail = string(out.reply.Options.Get(dhcpv4.OptionMessage))
	}
	s.sawAt(at, out.req, replySightings[kind], detail, v)
}
