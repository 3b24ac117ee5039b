package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"ingot/inventory"
)

func addresses(t *testing.T, s inventory.Store) {
	ip := netip.MustParseAddr("192.0.2.10")
	lease := inventory.Address{IP: ip, Network: "rack", Use: inventory.AddressLeased, MAC: "52:54:00:00:00:01", Expires: t0.Add(time.Hour), Updated: t0}
	other := lease
	other.MAC = "52:54:00:00:00:02"
	later := other
	later.Updated, later.Expires = t0.Add(2*time.Hour), t0.Add(3*time.Hour)
	quarantined := inventory.Address{IP: ip, Network: "rack", Use: inventory.AddressQuarantined, Expires: t0.Add(4 * time.Hour), Updated: t0.Add(2 * time.Hour)}
	afterQuarantine := later
	afterQuarantine.Updated = t0.Add(3 * time.Hour)
	for _, c := range []struct {
		name string
		a    inventory.Address
		want error
	}{
		{"first", lease, nil},
		{"renew", lease, nil},
		{"other client id, same MAC", withClient(lease, "01aa"), nil},
		{"same client id, other MAC", withClient(other, "01aa"), nil},
		{"back", withClient(lease, "01aa"), nil},
		{"taken", other, inventory.ErrConflict},
		{"expired", later, nil},
		{"quarantine", quarantined, nil},
		{"in quarantine", afterQuarantine, inventory.ErrConflict},
	} {
		err := s.Update(t.Context(), func(x inventory.Tx) error { return x.PutAddress(t.Context(), c.a) })
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		got, err := x.Addresses(ctx, "rack")
		if len(got) != 1 || got[0].Use != inventory.AddressQuarantined {
			t.Errorf("addresses = %+v", got)
		}
		return err
	})
}

// addressesTogether: all of them are written, or none is.
func addressesTogether(t *testing.T, s inventory.Store) {
	rows := func(first, n int, mac string) (out []inventory.Address) {
		for i := range n {
			ip := netip.AddrFrom4([4]byte{192, 0, 2, byte(first + i)})
			out = append(out, inventory.Address{IP: ip, Network: "rack", Use: inventory.AddressLeased,
				MAC: inventory.MAC(fmt.Sprintf("%s:%02x", mac, first+i)), Expires: t0.Add(time.Hour), Updated: t0})
		}
		return out
	}
	put := func(as []inventory.Address) error {
		return s.Update(t.Context(), func(x inventory.Tx) error { return x.PutAddresses(t.Context(), as) })
	}
	count := func() (n int) {
		view(t, s, func(ctx context.Context, x inventory.Tx) error {
			as, err := x.Addresses(ctx, "rack")
			n = len(as)
			return err
		})
		return n
	}
	ours, theirs := "52:54:00:00:00", "52:54:00:00:01"
	if err := put(rows(1, 21, ours)); err != nil || count() != 21 {
		t.Fatalf("write 21 addresses: %v, %d are there", err, count())
	}
	if err := put(append(rows(30, 9, theirs), rows(5, 1, theirs)...)); !errors.Is(err, inventory.ErrConflict) || count() != 21 {
		t.Errorf("one of ten is taken: %v (want a conflict), %d are there", err, count())
	}
	again := rows(1, 9, ours)
	ended := again[0]
	ended.Expires = t0
	if err := put(append(again, ended)); err != nil {
		t.Errorf("the same address twice: %v", err)
	}
	if err := put(nil); err != nil {
		t.Errorf("none: %v", err)
	}
}

func withClient(a inventory.Address, id string) inventory.Address {
	a.ClientID = id
	return a
}
