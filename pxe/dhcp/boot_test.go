package dhcp

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

const uuidOption = "\x00\x78\x56\x34\x12\xbc\x9a\xf0\xde\x01\x02\x03\x04\x05\x06\x07\x08"

// pxe is a DISCOVER of a PXE client of an architecture.
func pxe(arch byte, class string) packet {
	return packet{kind: kindDiscover}.with(93, "\x00"+string(arch)).with(60, class).with(97, uuidOption).
		with(55, "\x01\x03\x06\x2b\x3c\x42\x43")
}

// bootFields is what a client reads of a reply.
type bootFields struct {
	File, Option67, Option66, Option43, Option60, Next, Your string
	UUID, IPXE                                               bool
}

func fieldsOf(reply *dhcpv4.DHCPv4) bootFields {
	if reply == nil {
		return bootFields{}
	}
	return bootFields{File: reply.BootFileName, Option67: string(reply.Options[67]), Option66: string(reply.Options[66]),
		Option43: string(reply.Options[43]), Option60: string(reply.Options[60]), Next: reply.ServerIPAddr.String(),
		Your: reply.YourIPAddr.String(), UUID: string(reply.Options[97]) == uuidOption, IPXE: reply.Options.Has(optionIPXE)}
}

const skipDiscovery = "\x06\x01\x08\xff"

// TestBootOffers asks for every kind of client what it is given, with an address and
// without one.
func TestBootOffers(t *testing.T) {
	file := bootFields{File: "loader.efi", Option67: "loader.efi", Option66: "10.0.0.1", Option60: "PXEClient", Next: "10.0.0.1", UUID: true}
	bios := file
	bios.Option43 = skipDiscovery
	url := bootFields{File: "http://10.0.0.1/boot", Option67: "http://10.0.0.1/boot", Option66: "10.0.0.1", Option60: "HTTPClient",
		Next: "10.0.0.1", UUID: true}
	ipxe := url
	ipxe.Option60 = "PXEClient"
	uboot := file
	uboot.Option60, uboot.UUID = "", false
	tests := []struct {
		name string
		pkt  packet
		want bootFields
		// proxy is what the proxy gives; the zero value means the same.
		proxySilent bool
	}{
		{"BIOS", pxe(0, "PXEClient:Arch:00000:UNDI:002001"), bios, false},
		{"BIOS without option 93", packet{kind: kindDiscover}.with(60, "PXEClient:Arch:00000:UNDI:002001").with(97, uuidOption), bios, false},
		{"BIOS without option 97", func() packet { p := pxe(0, "PXEClient"); delete(p.opts, 97); return p }(),
			func() bootFields { b := bios; b.UUID = false; return b }(), false},
		{"UEFI IA32", pxe(6, "PXEClient:Arch:00006:UNDI:003000"), file, false},
		{"UEFI x64", pxe(7, "PXEClient:Arch:00007:UNDI:003000"), file, false},
		{"UEFI EBC", pxe(9, "PXEClient:Arch:00009:UNDI:003000"), file, false},
		{"UEFI ARM32", pxe(10, "PXEClient:Arch:00010:UNDI:003000"), file, false},
		{"UEFI arm64", pxe(11, "PXEClient:Arch:00011:UNDI:003000"), file, false},
		{"UEFI IA32 HTTP", pxe(15, "HTTPClient:Arch:00015:UNDI:003001"), url, false},
		{"UEFI x64 HTTP", pxe(16, "HTTPClient:Arch:00016:UNDI:003001"), url, false},
		{"UEFI EBC HTTP", pxe(17, "HTTPClient:Arch:00017:UNDI:003001"), url, false},
		{"UEFI ARM32 HTTP", pxe(18, "HTTPClient:Arch:00018:UNDI:003001"), url, false},
		{"UEFI arm64 HTTP", pxe(19, "HTTPClient:Arch:00019:UNDI:003001"), url, false},
		{"iPXE on BIOS", pxe(0, "PXEClient:Arch:00000:UNDI:002001").with(77, "iPXE").with(175, "\xb1\x04\x01\x02\x03\x04"), ipxe, false},
		{"iPXE on UEFI", pxe(7, "PXEClient:Arch:00007:UNDI:003010").with(77, "iPXE"), ipxe, false},
		{"iPXE by RFC 3004", pxe(7, "PXEClient:Arch:00007:UNDI:003010").with(77, "\x04iPXE"), ipxe, false},
		{"iPXE by option 175 alone", pxe(0, "PXEClient").with(175, "\x12\x01\x01"), ipxe, false},
		{"U-Boot", packet{kind: kindDiscover}.with(60, "U-Boot.armv8").with(93, "\x00\x16"), uboot, true},
		{"unknown architecture", pxe(99, "PXEClient:Arch:00099"), file, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, lab(inventory.DHCPAuthoritative, func(n *inventory.Network) { n.AnyClient = false }))
			want := tt.want
			want.Your, want.IPXE = "10.0.0.100", r.offerIsIPXE(tt.pkt)
			if diff := cmp.Diff(want, fieldsOf(r.sends(tt.pkt))); diff != "" {
				t.Errorf("authoritative (-want +got):\n%s%s", diff, r.lastIgnored())
			}
			r = newRig(t, lab(inventory.DHCPProxy))
			want.Your, want.IPXE = "0.0.0.0", false
			if tt.proxySilent {
				want = bootFields{}
			}
			if diff := cmp.Diff(want, fieldsOf(r.sends(tt.pkt))); diff != "" {
				t.Errorf("proxy (-want +got):\n%s%s", diff, r.lastIgnored())
			}
		})
	}
}

func (r *rig) offerIsIPXE(p packet) bool {
	return p.opts[77] != nil || p.opts[175] != nil
}

// TestClient: what the Booter is told.
func TestClient(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPProxy))
	r.sends(pxe(7, "PXEClient:Arch:00007:UNDI:003016"))
	want := []Client{{MAC: clientMAC, UUID: "12345678-9abc-def0-0102-030405060708", Arch: ArchX64, ArchKnown: true,
		Class: "PXEClient:Arch:00007:UNDI:003016", Network: "lab", Server: r.link.Addrs()[0].Addr(), Via: "boot0", Proxy: true, Discover: true}}
	if diff := cmp.Diff(want, r.clients, cmp.Comparer(sameAddr)); diff != "" {
		t.Errorf("client (-want +got):\n%s", diff)
	}
}

// TestNoLoop: iPXE never gets a file name, HTTP boot neither, whatever the Booter says.
func TestNoLoop(t *testing.T) {
	for _, pkt := range []packet{pxe(7, "PXEClient:Arch:00007").with(77, "iPXE"), pxe(16, "HTTPClient:Arch:00016")} {
		for _, mode := range []inventory.DHCPMode{inventory.DHCPProxy, inventory.DHCPAuthoritative} {
			r := newRig(t, lab(mode))
			r.offer = func(Client) Offer { return Offer{File: "snponly.efi"} }
			if got := fieldsOf(r.sends(pkt)); got.File != "" || got.Option67 != "" {
				t.Errorf("%s: got %+v", mode, got)
			}
		}
	}
}

// TestLongURL: what does not fit the header goes into option 67 whole, never cut.
func TestLongURL(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPProxy))
	url := "http://10.0.0.1/" + strings.Repeat("x", 200)
	r.offer = func(Client) Offer { return Offer{URL: url} }
	got := fieldsOf(r.sends(pxe(16, "HTTPClient:Arch:00016")))
	if got.File != "" || got.Option67 != url {
		t.Errorf("got %+v", got)
	}
}

// TestProxySilence: the proxy answers network boots and nothing else.
func TestProxySilence(t *testing.T) {
	boot := pxe(7, "PXEClient:Arch:00007:UNDI:003016")
	requestTo := func(p packet, server string) packet {
		p.kind, p.wanted, p.server = kindRequest, "10.0.0.77", server
		return p
	}
	inform := boot
	inform.kind, inform.ciaddr = dhcpv4.MessageTypeInform, "10.0.0.77"
	tests := []struct {
		name string
		pkt  packet
		why  string
	}{
		{"plain DISCOVER", packet{kind: kindDiscover}, ""},
		{"DISCOVER of Windows", packet{kind: kindDiscover}.with(60, "MSFT 5.0"), ""},
		{"REQUEST to the real server", requestTo(boot, "10.0.0.2"), ""},
		{"REQUEST to us", requestTo(boot, "10.0.0.1"), ""},
		{"INFORM", inform, ""},
		{"short option 97", boot.with(97, "\x00\x01\x02"), "option 97 of 3 bytes, type 0 (want 17 bytes, type 0)"},
		{"wrong type in option 97", boot.with(97, "\x01"+uuidOption[1:]), "option 97 of 17 bytes, type 1 (want 17 bytes, type 0)"},
		{"DISCOVER on 4011", func() packet { p := boot; p.port4011 = true; return p }(), "port 4011 takes only REQUEST and INFORM"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, lab(inventory.DHCPProxy))
			if reply := r.sends(tt.pkt); reply != nil {
				t.Errorf("answered: %v", reply)
			}
			if got := r.lastIgnored(); got != tt.why {
				t.Errorf("reason %q, want %q", got, tt.why)
			}
			if len(r.clients) != 0 {
				t.Errorf("the Booter was asked: %+v", r.clients)
			}
		})
	}
}

// TestBooterSilence: a machine that is to boot nothing gets no proxy offer, and an
// address without a file where addresses are ours.
func TestBooterSilence(t *testing.T) {
	silent := func(Client) Offer { return Offer{Silence: "32-bit UEFI is not supported"} }
	r := newRig(t, lab(inventory.DHCPProxy))
	r.offer = silent
	if reply := r.sends(pxe(6, "PXEClient:Arch:00006")); reply != nil {
		t.Errorf("proxy answered %v", reply)
	}
	if got := r.lastIgnored(); got != "32-bit UEFI is not supported" {
		t.Errorf("reason %q", got)
	}
	r = newRig(t, lab(inventory.DHCPAuthoritative))
	r.offer = silent
	got := fieldsOf(r.sends(pxe(6, "PXEClient:Arch:00006")))
	if got.Your != "10.0.0.100" || got.File != "" || got.Option67 != "" {
		t.Errorf("authoritative: %+v", got)
	}
}

// TestPort4011: UEFI's second question, from the address that another server gave.
func TestPort4011(t *testing.T) {
	for _, mode := range []inventory.DHCPMode{inventory.DHCPProxy, inventory.DHCPAuthoritative} {
		r := newRig(t, lab(mode))
		p := pxe(7, "PXEClient:Arch:00007:UNDI:003016")
		p.kind, p.ciaddr, p.unicast, p.port4011 = kindRequest, "10.0.0.77", "10.0.0.1", true
		out, ok := r.sendsRaw(p)
		if !ok {
			t.Fatalf("%s: silence: %s", mode, r.lastIgnored())
		}
		if out.dest.String() != "10.0.0.77:68" {
			t.Errorf("%s: sent to %s", mode, out.dest)
		}
		reply, err := dhcpv4.FromBytes(out.data)
		if err != nil {
			t.Fatal(err)
		}
		if got := fieldsOf(reply); reply.MessageType() != dhcpv4.MessageTypeAck || got.File != "loader.efi" || got.Option43 != "" {
			t.Errorf("%s: %s %+v", mode, reply.MessageType(), got)
		}
		if got := r.clients[0]; got.IP.String() != "10.0.0.77" || !got.Port4011 || got.Proxy != (mode == inventory.DHCPProxy) {
			t.Errorf("%s: client %+v", mode, got)
		}
	}
}

// TestUnknownArchLoggedOnce counts the log lines.
func TestUnknownArchLoggedOnce(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPProxy))
	var lines strings.Builder
	r.s.log = newTestLog(&lines)
	for range 3 {
		r.sends(pxe(99, "PXEClient:Arch:00099"))
	}
	if got := strings.Count(lines.String(), "unknown client architecture"); got != 1 {
		t.Errorf("logged %d times, want once:\n%s", got, lines.String())
	}
	n := 0
	for _, s := range r.sightings {
		if s.Kind == inventory.SawUnknownArch {
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d sightings, want 3", n)
	}
}
