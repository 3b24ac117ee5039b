package dhcp

import (
	"net/netip"
	"testing"
	"time"

	"ingot/inventory"
)

// wide is a network with more addresses than a stock has.
func wide() inventory.Network {
	n := lab(inventory.DHCPAuthoritative)
	n.Subnet = netip.MustParsePrefix("10.0.0.0/16")
	n.Pools = []inventory.AddressRange{{First: ip("10.0.1.0"), Last: ip("10.0.199.255")}}
	return n
}

// TestRoundsOverlap: the rounds of probes under way are told apart, count as stock that
// comes, and are no reason to call a pool exhausted.
func TestRoundsOverlap(t *testing.T) {
	r := newRig(t)
	r.s.SetNetworks([]inventory.Network{wide()})
	b := r.s.byName["lab"]
	seen := map[netip.Addr]bool{}
	for len(seen) < stockMin {
		ips := r.s.search(b)
		if len(ips) != roundMax/2 {
			t.Fatalf("a round of %d after %d addresses, want %d", len(ips), len(seen), roundMax/2)
		}
		for _, ip := range ips {
			if seen[ip] {
				t.Fatalf("%s is probed twice", ip)
			}
			seen[ip] = true
		}
	}
	if ips := r.s.search(b); len(ips) > 0 || b.stock.exhausted {
		t.Errorf("%d more addresses with a whole stock under way, exhausted %v", len(ips), b.stock.exhausted)
	}
}

// TestRush: a stock that is used up faster than a round of probes takes is kept larger,
// and gets smaller when the rush is over.
func TestRush(t *testing.T) {
	r := newRig(t, wide())
	b := r.s.byName["lab"]
	for range 3 * stockMin {
		r.s.mu.Lock()
		_, _, ok := b.stock.take(r.now)
		low := b.stock.low(r.now)
		r.s.mu.Unlock()
		if !ok {
			t.Fatal("the stock is empty")
		}
		if low {
			r.restock()
		}
	}
	rushed := b.stock.level
	if rushed < 3*stockMin {
		t.Errorf("level %d after a rush for %d addresses", rushed, 3*stockMin)
	}
	for range 100 {
		r.pass(time.Second)
		r.restock()
	}
	if b.stock.level != stockMin {
		t.Errorf("level %d after the rush, want %d", b.stock.level, stockMin)
	}
}

// TestCrowdedPool: the only free address is found among many that are taken.
func TestCrowdedPool(t *testing.T) {
	r := newRig(t)
	for at := ip("10.0.1.0"); at != ip("10.0.199.255"); at = at.Next() {
		r.rows[at] = inventory.Address{IP: at, Network: "lab", Use: inventory.AddressLeased, MAC: "52:54:00:00:00:01", Expires: epoch.Add(time.Hour)}
	}
	r.s.SetNetworks([]inventory.Network{wide()})
	if err := r.s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.restock()
	if got := r.lease(packet{mac: mac(7)}).YourIPAddr.String(); got != "10.0.199.255" {
		t.Errorf("address %s", got)
	}
}

// TestLow: what calls for probes, in pools of all sizes.
func TestLow(t *testing.T) {
	for _, c := range []struct {
		level, have int
		want        bool
	}{
		{1, 1, false}, {1, 0, true}, {3, 3, false}, {3, 2, true}, {10, 9, false}, {10, 8, true},
		{stockMin, stockMin - 255, false}, {stockMin, stockMin - 256, true},
		{stockMax, stockMax - roundMax + 1, false}, {stockMax, stockMax - roundMax, true},
	} {
		s := stock{level: c.level, at: map[netip.Addr]time.Time{}}
		for at := ip("10.0.0.0"); len(s.at) < c.have; at = at.Next() {
			s.at[at] = epoch
		}
		if got := s.low(epoch); got != c.want {
			t.Errorf("%d of %d: low %v, want %v", c.have, c.level, got, c.want)
		}
	}
}
