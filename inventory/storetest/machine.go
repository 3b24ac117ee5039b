package storetest

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

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
