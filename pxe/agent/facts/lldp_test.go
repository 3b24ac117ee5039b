package facts

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

func TestParseLLDP(t *testing.T) {
	mandatory := func(more ...[]byte) []byte {
		return lldpFrame(append([][]byte{tlv(1, "\x04\x00\x1c\x73\x01\x02\x03"), tlv(2, "\x05swp1"), tlv(3, "\x00\x78")}, more...)...)
	}
	base := inventory.Neighbour{ChassisID: "00:1c:73:01:02:03", PortID: "swp1"}
	with := func(f func(n *inventory.Neighbour)) inventory.Neighbour { n := base; f(&n); return n }
	for _, tt := range []struct {
		name  string
		frame []byte
		want  inventory.Neighbour
		err   string
	}{
		{"the least", mandatory(), base, ""},
		{"without an end", mandatory()[:len(mandatory())-2], base, ""},
		{"padded to 60 bytes", append(mandatory(), make([]byte, 20)...), base, ""},
		{"all that is read", switchFrame("leaf-a", "Ethernet1", "uplink", 4094, "\x00\x78"), inventory.Neighbour{ChassisID: "00:1c:73:0a:0b:0c", PortID: "Ethernet1",
			PortDescription: "uplink", SystemName: "leaf-a", Management: "192.0.2.1", VLAN: 4094}, ""},
		{"port id is a MAC", lldpFrame(tlv(1, "\x04\x00\x1c\x73\x01\x02\x03"), tlv(2, "\x03\x02\x00\x00\x00\x00\x09"), tlv(3, "\x00\x01")), with(func(n *inventory.Neighbour) { n.PortID = "02:00:00:00:00:09" }), ""},
		{"port id is binary", lldpFrame(tlv(1, "\x04\x00\x1c\x73\x01\x02\x03"), tlv(2, "\x07\x00\x01\xff"), tlv(3, "\x00\x01")), with(func(n *inventory.Neighbour) { n.PortID = "0001ff" }), ""},
		{"first management address counts", mandatory(tlv(8, "\x05\x01\xc0\x00\x02\x01\x02\x00\x00\x00\x01\x00"), tlv(8, "\x05\x01\xc0\x00\x02\x02\x02\x00\x00\x00\x01\x00")), with(func(n *inventory.Neighbour) { n.Management = "192.0.2.1" }), ""},
		{"other organisation", mandatory(tlv(127, "\x00\x12\x0f\x01\x00\x64")), base, ""},
		{"escape codes in the name", mandatory(tlv(5, "\x1b[2Jleaf")), with(func(n *inventory.Neighbour) { n.SystemName = "[2Jleaf" }), ""},
		{"name of 511 bytes", mandatory(tlv(5, strings.Repeat("n", 511))), with(func(n *inventory.Neighbour) { n.SystemName = strings.Repeat("n", 511) }), ""},
		{"port before chassis", lldpFrame(tlv(2, "\x05swp1"), tlv(1, "\x04\x00\x1c\x73\x01\x02\x03"), tlv(3, "\x00\x78")), inventory.Neighbour{}, "TLV 0 has type 2"},
		{"no time to live", lldpFrame(tlv(1, "\x04\x00\x1c\x73\x01\x02\x03"), tlv(2, "\x05swp1")), inventory.Neighbour{}, "TLV 2 has type 0"},
		{"time to live of one byte", lldpFrame(tlv(1, "\x04\x00\x1c\x73\x01\x02\x03"), tlv(2, "\x05swp1"), tlv(3, "\x78")), inventory.Neighbour{}, "too short"},
		{"length over the end", append(mandatory()[:len(mandatory())-2], 5<<1, 200, 'x'), inventory.Neighbour{}, "length 200"},
		{"other frame type", append(make([]byte, 12), 0x08, 0x00), inventory.Neighbour{}, "no LLDP frame"},
		{"empty", nil, inventory.Neighbour{}, "no LLDP frame"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseLLDP(tt.frame)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got.neighbour); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzLLDP(f *testing.F) {
	f.Add(switchFrame("leaf", "Ethernet1", "d", 100, "\x00\x78"))
	f.Add(lldpFrame(tlv(1, "\x05\x01\xc0\x00\x02\x0a"), tlv(2, "\x04\x02\x20\x01"), tlv(3, "\x00\x00"), tlv(8, "\x05\x02\xff")))
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, err := parseLLDP(frame)
		if err == nil && (len(h.neighbour.SystemName) > 511 || h.ttl < 0 || h.neighbour.VLAN > 4095) {
			t.Errorf("%+v", h)
		}
	})
}

// TestNeighboursOverTime plays frames against a clock of the test's.
func TestNeighboursOverTime(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	n := newNeighbours(nil, func() time.Time { return now }, nil)
	say := func(chassis, port string, vlan int, ttl time.Duration) {
		n.hear("eth0", heard{inventory.Neighbour{ChassisID: chassis, PortID: port, VLAN: vlan}, ttl})
	}
	changed := func() bool {
		select {
		case <-n.Changed():
			return true
		default:
			return false
		}
	}
	expect := func(step, chassis string, vlan int, signal bool) {
		t.Helper()
		got := inventory.Neighbour{}
		if g := n.Get("eth0"); g != nil {
			got = *g
		}
		if got.ChassisID != chassis || got.VLAN != vlan {
			t.Errorf("%s: neighbour is %+v", step, got)
		}
		if c := changed(); c != signal {
			t.Errorf("%s: changed is %v", step, c)
		}
	}
	expect("nothing heard", "", 0, false)
	say("a", "1", 10, 120*time.Second)
	expect("first frame", "a", 10, true)
	say("a", "1", 10, 120*time.Second)
	expect("the same again", "a", 10, false)
	say("a", "1", 20, 120*time.Second)
	expect("its VLAN changed", "a", 20, true)
	say("b", "9", 0, 120*time.Second)
	expect("another speaks on the same port", "a", 20, false)
	now = now.Add(121 * time.Second)
	expect("silent too long", "", 0, false)
	say("b", "9", 0, 120*time.Second)
	expect("the other one takes over", "b", 0, true)
	say("b", "9", 0, 0)
	expect("goodbye", "", 0, true)
	say("b", "9", 0, 0)
	expect("goodbye again", "", 0, false)
	say("a", "1", 10, 120*time.Second)
	n.forget("eth0")
	expect("cable out", "", 0, true)
}

func TestNoNeighbours(t *testing.T) {
	var n *Neighbours
	if n.Get("eth0") != nil || n.Changed() != nil {
		t.Error("nil knows something")
	}
	n.Wait()
}

func TestJoin(t *testing.T) {
	n := newNeighbours(nil, time.Now, nil)
	n.hear("eth1", heard{inventory.Neighbour{ChassisID: "a", PortID: "1"}, time.Hour})
	old := &inventory.Facts{NICs: []inventory.NIC{{Name: "eth0", Neighbour: &inventory.Neighbour{ChassisID: "gone"}}, {Name: "eth1"}}}
	want := []inventory.NIC{{Name: "eth0"}, {Name: "eth1", Neighbour: &inventory.Neighbour{ChassisID: "a", PortID: "1"}}}
	if diff := cmp.Diff(want, n.Join(old).NICs); diff != "" {
		t.Errorf("joined (-want +got):\n%s", diff)
	}
	if old.NICs[1].Neighbour != nil {
		t.Error("the facts given were changed")
	}
}
