package dhcp

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

// TestRestart: leases are there again after a kill; an offer is not, and its REQUEST is
// served all the same.
func TestRestart(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	r.lease(packet{})
	offer := r.sends(packet{kind: kindDiscover, mac: mac(1)})
	after := newRig(t, lab(inventory.DHCPAuthoritative))
	after.rows = r.rows
	if err := after.s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	if reply := after.sends(packet{kind: kindRequest, ciaddr: "10.0.0.100"}); reply == nil || reply.MessageType() != dhcpv4.MessageTypeAck {
		t.Errorf("renewal after a restart: %v, %s", reply, after.lastIgnored())
	}
	reply := after.sends(packet{kind: kindRequest, mac: mac(1), wanted: offer.YourIPAddr.String(), server: "10.0.0.1"})
	if reply == nil || reply.MessageType() != dhcpv4.MessageTypeAck {
		t.Errorf("REQUEST after a restart: %v, %s", reply, after.lastIgnored())
	}
}

// TestNoAckWithoutCommit: what is not durable is not promised.
func TestNoAckWithoutCommit(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	offer := r.sends(packet{kind: kindDiscover})
	r.commitErr = errors.New("disk full")
	req := packet{kind: kindRequest, wanted: offer.YourIPAddr.String(), server: "10.0.0.1"}
	if reply := r.sends(req); reply != nil {
		t.Fatalf("answered without a commit: %v", reply)
	}
	r.commitErr = nil
	if reply := r.sends(req); reply == nil || reply.MessageType() != dhcpv4.MessageTypeAck {
		t.Errorf("when the disk has room again: %v, %s", reply, r.lastIgnored())
	}
}

// TestConflictInGroup: one refused row does not keep the others from their ACK.
func TestConflictInGroup(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	bad := ip("10.0.0.100")
	r.s.cfg.Leases = refusing{r, bad}
	var group []outgoing
	for n := range 3 {
		offer := r.sends(packet{kind: kindDiscover, mac: mac(n)})
		p := packet{kind: kindRequest, mac: mac(n), wanted: offer.YourIPAddr.String(), server: "10.0.0.1"}
		out, ok := r.s.handle(context.Background(), inbound{link: r.link, source: p.from(), dest: p.dest(), data: p.bytes()})
		if !ok {
			t.Fatal("no answer")
		}
		group = append(group, out)
	}
	if got := len(r.s.commitGroup(context.Background(), group)); got != 2 {
		t.Errorf("%d ACKs, want 2", got)
	}
	if got := r.lease(packet{mac: mac(0)}).YourIPAddr.String(); got == bad.String() {
		t.Error("the address in conflict was offered again")
	}
}

// refusing refuses one address as taken.
type refusing struct {
	*rig
	bad netip.Addr
}

func (s refusing) Commit(ctx context.Context, rows []inventory.Address) error {
	for _, a := range rows {
		if a.IP == s.bad {
			return inventory.Conflict("%s is taken", a.IP)
		}
	}
	return s.rig.Commit(ctx, rows)
}
