package inventory

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	uuidA = "aaaaaaaa-0000-4000-8000-000000000001"
	uuidB = "bbbbbbbb-0000-4000-8000-000000000002"
	macA  = MAC("52:54:00:00:00:0a")
	macB  = MAC("52:54:00:00:00:0b")
	macC  = MAC("52:54:00:00:00:0c")
)

func TestTrustedDropsBogusValues(t *testing.T) {
	for _, uuid := range append(bogusUUIDs, "", "To be filled by O.E.M.", "Not Settable", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
		" 03000200-0400-0500-0006-000700080009 ", "11111111-1111-1111-1111-111111111111", "zzzzzzzz-0000-4000-8000-000000000001",
		"aaaaaaaa00004000800000000000000100000") {
		if got := (Identity{UUID: uuid}).Trusted(); !got.Empty() {
			t.Errorf("UUID %q is trusted as %q", uuid, got.UUID)
		}
	}
	for _, serial := range append(bogusSerials, "To Be Filled By O.E.M.", "DEFAULT STRING", " None ", "........", "XXXXXX", "1111111") {
		if got := (Identity{Serial: serial}).Trusted(); !got.Empty() {
			t.Errorf("serial %q is trusted as %q", serial, got.Serial)
		}
	}
}

func TestTrustedKeepsAndCleans(t *testing.T) {
	seen := Identity{UUID: " " + strings.ToUpper(uuidA) + " ", Serial: " CZ1234 ", MACs: []MAC{macA, "", MAC(strings.ToUpper(macB.Hyphened())), macA, "ff:ff:ff:ff:ff:ff", "eth0"}}
	want := Identity{UUID: uuidA, Serial: "CZ1234", MACs: []MAC{macA, macB}}
	if d := cmp.Diff(want, seen.Trusted()); d != "" {
		t.Errorf("Trusted (-want +got):\n%s", d)
	}
}

func known(name, uuid, serial string, macs ...MAC) *Machine {
	return &Machine{ID: "m-" + name, Name: name, Identity: Identity{UUID: uuid, Serial: serial, MACs: macs}}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		name string
		seen Identity
		have []*Machine
		want string
		// conflict is text of the error; empty for none.
		conflict string
	}{
		{name: "nobody", seen: Identity{UUID: uuidA, MACs: []MAC{macA}}},
		{name: "UUID before serial", seen: Identity{UUID: uuidA, Serial: "S2"},
			have: []*Machine{known("one", uuidA, "S1"), known("two", "", "S2")}, want: "one"},
		{name: "serial before MAC", seen: Identity{Serial: "S1", MACs: []MAC{macC}},
			have: []*Machine{known("one", "", "S1", macA)}, want: "one"},
		{name: "changed NIC", seen: Identity{UUID: uuidA, MACs: []MAC{macC}}, have: []*Machine{known("one", uuidA, "S1", macA)}, want: "one"},
		{name: "MAC alone", seen: Identity{MACs: []MAC{macB}}, have: []*Machine{known("one", uuidA, "S1", macA, macB)}, want: "one"},
		{name: "MAC of a machine known by MAC alone", seen: Identity{UUID: uuidA, Serial: "S1", MACs: []MAC{macA}},
			have: []*Machine{known("one", "", "", macA)}, want: "one"},
		{name: "bogus UUID on both, MAC decides", seen: Identity{UUID: bogusUUIDs[2], MACs: []MAC{macA}},
			have: []*Machine{known("one", "", "", macA), known("two", "", "", macB)}, want: "one"},
		{name: "MAC against another UUID", seen: Identity{UUID: uuidB, MACs: []MAC{macA}},
			have: []*Machine{known("one", uuidA, "", macA)}, conflict: "MAC belongs to machine one, but UUID"},
		{name: "MAC against another serial", seen: Identity{Serial: "S2", MACs: []MAC{macA}},
			have: []*Machine{known("one", "", "S1", macA)}, conflict: `but serial "S2" against "S1"`},
		{name: "duplicate serial, other UUID, is another machine", seen: Identity{UUID: uuidB, Serial: "S1", MACs: []MAC{macB}},
			have: []*Machine{known("one", uuidA, "S1", macA)}},
		{name: "two machines with the serial", seen: Identity{Serial: "S1"},
			have: []*Machine{known("one", uuidA, "S1"), known("two", uuidB, "S1")}, conflict: "identity fits one and two"},
		{name: "MACs of two machines", seen: Identity{MACs: []MAC{macA, macB}},
			have: []*Machine{known("one", "", "", macA), known("two", "", "", macB)}, conflict: "belong to one and two"},
		{name: "own UUID with a MAC of another", seen: Identity{UUID: uuidA, MACs: []MAC{macA, macB}},
			have: []*Machine{known("one", uuidA, "", macA), known("two", uuidB, "", macB)}, conflict: "one shows a MAC of machine two"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Match(c.seen, c.have)
			if c.conflict != "" {
				if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), c.conflict) {
					t.Errorf("Match = %v, want a conflict with %q", err, c.conflict)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if m != nil {
				got = m.Name
			}
			if got != c.want {
				t.Errorf("Match = %q, want %q", got, c.want)
			}
		})
	}
}

func TestAbsorbLearnsTheNewNIC(t *testing.T) {
	id := Identity{UUID: uuidA, MACs: []MAC{macA}}
	if !id.Absorb(Identity{UUID: uuidB, Serial: "S1", MACs: []MAC{macA, macC}}) {
		t.Error("nothing was learnt")
	}
	want := Identity{UUID: uuidA, Serial: "S1", MACs: []MAC{macA, macC}}
	if d := cmp.Diff(want, id); d != "" {
		t.Errorf("Absorb (-want +got):\n%s", d)
	}
	if id.Absorb(want) {
		t.Error("the same again was new")
	}
}
