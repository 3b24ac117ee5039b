// Package storetest is the contract of inventory.Store: every implementation passes it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Run runs the suite; open returns an empty store each time.
func Run(t *testing.T, open func(testing.TB) inventory.Store) {
	for name, test := range map[string]func(*testing.T, inventory.Store){
		"machine round trip":    machineRoundTrip,
		"stale revision":        staleRevision,
		"names and MACs":        namesAndMACs,
		"machines like":         machinesLike,
		"user data apart":       userDataApart,
		"facts versions":        factsVersions,
		"sessions":              sessions,
		"addresses":             addresses,
		"addresses together":    addressesTogether,
		"events in order":       eventsInOrder,
		"follow":                follow,
		"sightings":             sightings,
		"rollback":              rollback,
		"view sees no writes":   viewIsSnapshot,
		"catalog":               catalog,
		"delete takes children": deleteTakesChildren,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Machine returns a valid machine numbered n.
func Machine(n int) *inventory.Machine {
	return &inventory.Machine{
		ID: fmt.Sprintf("m-%012d", n), Name: fmt.Sprintf("machine-%d", n), Kind: inventory.KindMetal,
		Identity: inventory.Identity{
			UUID: fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", n), Serial: fmt.Sprintf("SN%d", n),
			MACs: []inventory.MAC{inventory.MAC(fmt.Sprintf("52:54:00:00:00:%02x", n))},
		},
		Status:  inventory.Status{State: inventory.Discovered},
		Created: t0, Updated: t0,
	}
}

func update(t *testing.T, s inventory.Store, f func(context.Context, inventory.Tx) error) {
	t.Helper()
	ctx := t.Context()
	if err := s.Update(ctx, func(x inventory.Tx) error { return f(ctx, x) }); err != nil {
		t.Fatal(err)
	}
}

func view(t *testing.T, s inventory.Store, f func(context.Context, inventory.Tx) error) {
	t.Helper()
	ctx := t.Context()
	if err := s.View(ctx, func(x inventory.Tx) error { return f(ctx, x) }); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s inventory.Store, ms ...*inventory.Machine) {
	t.Helper()
	update(t, s, func(ctx context.Context, x inventory.Tx) error {
		for _, m := range ms {
			if err := x.PutMachine(ctx, m); err != nil {
				return err
			}
		}
		return nil
	})
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error = %v, want %v", err, want)
	}
}

func machineRoundTrip(t *testing.T, s inventory.Store) {
	m := Machine(1)
	put(t, s, m)
	if m.Revision != 1 {
		t.Errorf("revision after first put = %d, want 1", m.Revision)
	}
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		for _, key := range []string{m.ID, m.Name} {
			got, err := x.Machine(ctx, key)
			if err != nil {
				return err
			}
			if d := cmp.Diff(m, got, cmp.Comparer(sameAddr)); d != "" {
				t.Errorf("machine by %s (-want +got):\n%s", key, d)
			}
		}
		_, err := x.Machine(ctx, "nobody")
		wantErr(t, err, inventory.ErrNotFound)
		return nil
	})
}

func sameAddr(a, b netip.Addr) bool { return a == b }

func staleRevision(t *testing.T, s inventory.Store) {
	m := Machine(1)
	put(t, s, m)
	old := *m
	put(t, s, m)
	err := s.Update(t.Context(), func(x inventory.Tx) error { return x.PutMachine(t.Context(), &old) })
	wantErr(t, err, inventory.ErrConflict)
}

func namesAndMACs(t *testing.T, s inventory.Store) {
	put(t, s, Machine(1))
	same := Machine(2)
	same.Name = "machine-1"
	wantErr(t, s.Update(t.Context(), func(x inventory.Tx) error { return x.PutMachine(t.Context(), same) }), inventory.ErrConflict)
	mac := Machine(3)
	mac.Identity.MACs = Machine(1).Identity.MACs
	wantErr(t, s.Update(t.Context(), func(x inventory.Tx) error { return x.PutMachine(t.Context(), mac) }), inventory.ErrConflict)
	bad := Machine(4)
	bad.Name = "Not A Label"
	wantErr(t, s.Update(t.Context(), func(x inventory.Tx) error { return x.PutMachine(t.Context(), bad) }), inventory.ErrInvalid)
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		ms, err := x.Machines(ctx)
		if len(ms) != 1 {
			t.Errorf("%d machines, want 1", len(ms))
		}
		return err
	})
}

func machinesLike(t *testing.T, s inventory.Store) {
	put(t, s, Machine(1), Machine(2), Machine(3))
	cases := map[string]struct {
		id   inventory.Identity
		want []string
	}{
		"uuid":         {inventory.Identity{UUID: Machine(1).Identity.UUID}, []string{"machine-1"}},
		"serial":       {inventory.Identity{Serial: "SN2"}, []string{"machine-2"}},
		"mac":          {inventory.Identity{MACs: Machine(3).Identity.MACs}, []string{"machine-3"}},
		"two":          {inventory.Identity{Serial: "SN1", MACs: Machine(3).Identity.MACs}, []string{"machine-1", "machine-3"}},
		"none":         {inventory.Identity{Serial: "SN9"}, nil},
		"bogus serial": {inventory.Identity{Serial: "To be filled by O.E.M."}, nil},
	}
	for name, c := range cases {
		view(t, s, func(ctx context.Context, x inventory.Tx) error {
			ms, err := x.MachinesLike(ctx, c.id)
			var got []string
			for _, m := range ms {
				got = append(got, m.Name)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", name, d)
			}
			return err
		})
	}
}

func userDataApart(t *testing.T, s inventory.Store) {
	m := Machine(1)
	m.Spec.UserData = []byte("#cloud-config\n\x00secret")
	put(t, s, m)
	m.Spec.UserData = nil
	put(t, s, m)
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		got, err := x.UserData(ctx, m.ID)
		if string(got) != "#cloud-config\n\x00secret" {
			t.Errorf("user data = %q", got)
		}
		none, err2 := x.UserData(ctx, "m-other")
		if none != nil {
			t.Errorf("user data of nobody = %q", none)
		}
		return errors.Join(err, err2)
	})
}

func factsVersions(t *testing.T, s inventory.Store) {
	put(t, s, Machine(1))
	id := Machine(1).ID
	for i, c := range []struct {
		facts inventory.Facts
		want  int
	}{
		{inventory.Facts{At: t0, Memory: inventory.Memory{TotalBytes: 1}}, 1},
		{inventory.Facts{At: t0.Add(time.Hour), Memory: inventory.Memory{TotalBytes: 1}}, 1},
		{inventory.Facts{At: t0, Memory: inventory.Memory{TotalBytes: 2}}, 2},
	} {
		update(t, s, func(ctx context.Context, x inventory.Tx) error {
			got, err := x.AddFacts(ctx, id, &c.facts)
			if got != c.want {
				t.Errorf("facts %d: version %d, want %d", i, got, c.want)
			}
			return err
		})
	}
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		newest, err := x.Facts(ctx, id, 0)
		first, err1 := x.Facts(ctx, id, 1)
		if err := errors.Join(err, err1); err != nil {
			return err
		}
		if newest.Version != 2 || newest.Memory.TotalBytes != 2 || first.Memory.TotalBytes != 1 {
			t.Errorf("newest %+v, first %+v", newest, first)
		}
		_, err = x.Facts(ctx, "m-other", 0)
		wantErr(t, err, inventory.ErrNotFound)
		return nil
	})
}

func sessions(t *testing.T, s inventory.Store) {
	put(t, s, Machine(1))
	first := inventory.Session{TokenHash: "aa", Machine: Machine(1).ID, Boot: "b1", Created: t0}
	second := inventory.Session{TokenHash: "bb", Machine: Machine(1).ID, Boot: "b2", Created: t0.Add(time.Minute), Trusted: true}
	update(t, s, func(ctx context.Context, x inventory.Tx) error {
		return errors.Join(x.PutSession(ctx, first), x.PutSession(ctx, second))
	})
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		got, err := x.Sessions(ctx, Machine(1).ID)
		if d := cmp.Diff([]inventory.Session{second, first}, got); d != "" {
			t.Errorf("sessions (-want +got):\n%s", d)
		}
		one, err1 := x.Session(ctx, "aa")
		if one != first {
			t.Errorf("session = %+v", one)
		}
		_, err2 := x.Session(ctx, "cc")
		wantErr(t, err2, inventory.ErrNotFound)
		return errors.Join(err, err1)
	})
}

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

func event(t *testing.T, m *inventory.Machine, step string) inventory.Event {
	t.Helper()
	e, err := inventory.NewEvent(m, t0, inventory.Recovered{Step: step})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func eventsInOrder(t *testing.T, s inventory.Store) {
	a, b := Machine(1), Machine(2)
	update(t, s, func(ctx context.Context, x inventory.Tx) error {
		for i := range 10 {
			m := a
			if i%2 == 1 {
				m = b
			}
			if _, err := x.AddEvent(ctx, event(t, m, fmt.Sprint(i))); err != nil {
				return err
			}
		}
		return nil
	})
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		all, err := x.Events(ctx, inventory.EventQuery{})
		for i, e := range all {
			if e.Seq != int64(i+1) {
				t.Errorf("event %d has seq %d", i, e.Seq)
			}
		}
		last, err1 := x.Events(ctx, inventory.EventQuery{Machine: b.ID, Limit: 2})
		if len(all) != 10 || len(last) != 2 || last[1].Text() != "9 goes on" {
			t.Errorf("all %d, last %+v", len(all), last)
		}
		return errors.Join(err, err1)
	})
}

var errEnough = errors.New("enough")

func follow(t *testing.T, s inventory.Store) {
	const n = 50
	update(t, s, func(ctx context.Context, x inventory.Tx) error {
		_, err := x.AddEvent(ctx, event(t, nil, "first"))
		return err
	})
	done := make(chan error, 1)
	var seen []int64
	go func() {
		done <- s.Follow(t.Context(), 0, func(e inventory.Event) error {
			if seen = append(seen, e.Seq); len(seen) == n {
				return errEnough
			}
			return nil
		})
	}()
	for range n - 1 {
		update(t, s, func(ctx context.Context, x inventory.Tx) error {
			_, err := x.AddEvent(ctx, event(t, nil, "x"))
			return err
		})
	}
	wantErr(t, <-done, errEnough)
	for i, seq := range seen {
		if seq != int64(i+1) {
			t.Fatalf("event %d has seq %d", i, seq)
		}
	}
}

func sightings(t *testing.T, s inventory.Store) {
	put(t, s, Machine(1))
	known := Machine(1).Identity.MACs[0]
	update(t, s, func(ctx context.Context, x inventory.Tx) error {
		for i := range 3 {
			at := t0.Add(time.Duration(i) * time.Second)
			if err := x.PutSightings(ctx, []inventory.Sighting{{MAC: known, Kind: inventory.SawDiscover, Count: 2, First: at, Last: at}}); err != nil {
				return err
			}
		}
		for i := range 20 {
			at := t0.Add(time.Duration(i) * time.Minute)
			mac := inventory.MAC(fmt.Sprintf("02:00:00:00:00:%02x", i))
			if err := x.PutSightings(ctx, []inventory.Sighting{{MAC: mac, Kind: inventory.SawDiscover, Count: 1, First: at, Last: at}}); err != nil {
				return err
			}
		}
		old := inventory.Sighting{MAC: known, Kind: inventory.SawOffer, Count: 1, First: t0.Add(-2 * time.Hour), Last: t0.Add(-time.Hour)}
		if err := x.PutSightings(ctx, []inventory.Sighting{old}); err != nil {
			return err
		}
		return x.TrimSightings(ctx, 5, t0)
	})
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		got, err := x.Sightings(ctx, []inventory.MAC{known})
		if len(got) != 1 || got[0].Count != 6 || !got[0].First.Equal(t0) || !got[0].Last.Equal(t0.Add(2*time.Second)) {
			t.Errorf("known: %+v", got)
		}
		newest, err1 := x.Sightings(ctx, []inventory.MAC{"02:00:00:00:00:13", "02:00:00:00:00:0f", "02:00:00:00:00:0e", "02:00:00:00:00:00"})
		if len(newest) != 2 {
			t.Errorf("after trim: %+v", newest)
		}
		return errors.Join(err, err1)
	})
}

func rollback(t *testing.T, s inventory.Store) {
	err := s.Update(t.Context(), func(x inventory.Tx) error {
		return errors.Join(x.PutMachine(t.Context(), Machine(1)), errEnough)
	})
	wantErr(t, err, errEnough)
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		_, err := x.Machine(ctx, "machine-1")
		wantErr(t, err, inventory.ErrNotFound)
		return nil
	})
}

func viewIsSnapshot(t *testing.T, s inventory.Store) {
	put(t, s, Machine(1))
	if err := s.View(t.Context(), func(x inventory.Tx) error { return x.PutMachine(t.Context(), Machine(3)) }); err == nil {
		t.Error("a view wrote")
	}
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		before, err := x.Machines(ctx)
		if err != nil {
			return err
		}
		put(t, s, Machine(2))
		after, err := x.Machines(ctx)
		if len(before) != len(after) {
			t.Errorf("a view saw %d machines, then %d", len(before), len(after))
		}
		return err
	})
}

func catalog(t *testing.T, s inventory.Store) {
	n := inventory.Network{Name: "rack", Subnet: netip.MustParsePrefix("192.0.2.0/24"), DHCP: inventory.DHCPProxy}
	i := inventory.Image{Name: "debian-12", Digest: "sha256:abc", FirstBoot: "cloud-init", Created: t0}
	c := inventory.Channel{Name: "debian-12", Channel: "stable", Digest: "sha256:abc", Moved: t0}
	update(t, s, func(ctx context.Context, x inventory.Tx) error {
		return errors.Join(x.PutNetwork(ctx, n), x.PutImage(ctx, i), x.PutChannel(ctx, c), x.PutChannel(ctx, c), x.PutSetting(ctx, "k", "v"))
	})
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		ns, err := x.Networks(ctx)
		is, err1 := x.Images(ctx)
		cs, err2 := x.Channels(ctx)
		v, err3 := x.Setting(ctx, "k")
		none, err4 := x.Setting(ctx, "other")
		if len(ns) != 1 || len(is) != 1 || len(cs) != 1 || v != "v" || none != "" || ns[0].Subnet != n.Subnet {
			t.Errorf("networks %v images %v channels %v setting %q %q", ns, is, cs, v, none)
		}
		return errors.Join(err, err1, err2, err3, err4)
	})
	bad := n
	bad.DHCP = "maybe"
	wantErr(t, s.Update(t.Context(), func(x inventory.Tx) error { return x.PutNetwork(t.Context(), bad) }), inventory.ErrInvalid)
	wantErr(t, s.Update(t.Context(), func(x inventory.Tx) error { return x.DeleteNetwork(t.Context(), "no") }), inventory.ErrNotFound)
}

func deleteTakesChildren(t *testing.T, s inventory.Store) {
	m := Machine(1)
	m.Spec.UserData = []byte("x")
	put(t, s, m)
	update(t, s, func(ctx context.Context, x inventory.Tx) error {
		_, err := x.AddFacts(ctx, m.ID, &inventory.Facts{})
		_, err1 := x.AddEvent(ctx, event(t, m, "kept"))
		return errors.Join(err, err1, x.PutSession(ctx, inventory.Session{TokenHash: "t", Machine: m.ID, Created: t0}))
	})
	update(t, s, func(ctx context.Context, x inventory.Tx) error { return x.DeleteMachine(ctx, m.ID) })
	put(t, s, Machine(1))
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		_, err := x.Session(ctx, "t")
		wantErr(t, err, inventory.ErrNotFound)
		_, err = x.Facts(ctx, m.ID, 0)
		wantErr(t, err, inventory.ErrNotFound)
		es, err := x.Events(ctx, inventory.EventQuery{Machine: m.ID})
		if len(es) != 1 {
			t.Errorf("events of a deleted machine: %d, want 1", len(es))
		}
		return err
	})
}
