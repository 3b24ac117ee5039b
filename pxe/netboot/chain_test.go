package netboot

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

const (
	mac    = inventory.MAC("52:54:00:00:00:01")
	uuid   = "aaaaaaaa-0000-4000-8000-000000000001"
	folder = "52-54-00-00-00-01/"
	base   = "http://192.0.2.1:7480/boot/" + folder
)

var serverIP = netip.MustParseAddr("192.0.2.1")

func newTable(ms ...*inventory.Machine) *Table {
	t := NewTable(Config{HTTPPort: 7480, TLSPort: 7443, Pin: "abcd", Discover: true, KernelArgs: "console=ttyS0", BootSet: func() string { return "0a1b" }})
	for _, m := range ms {
		t.Put(m)
	}
	return t
}

// machine is one that is ready, with changes.
func machine(change ...func(*inventory.Machine)) *inventory.Machine {
	m := &inventory.Machine{ID: "m-1", Name: "web", Kind: inventory.KindMetal,
		Identity: inventory.Identity{UUID: uuid, MACs: []inventory.MAC{mac}}, Status: inventory.Status{State: inventory.Ready}}
	for _, f := range change {
		f(m)
	}
	return m
}

func secureBoot(s inventory.SecureBootState) func(*inventory.Machine) {
	return func(m *inventory.Machine) { m.Status.SecureBoot = s }
}

func state(s inventory.State, p inventory.Phase) func(*inventory.Machine) {
	return func(m *inventory.Machine) { m.Status.State, m.Status.Phase = s, p }
}

func chain(c inventory.BootChain) func(*inventory.Machine) {
	return func(m *inventory.Machine) { m.Spec.Chain = c }
}

func client(arch int) Client { return Client{MAC: mac, Arch: arch, Server: serverIP, Network: "rack"} }

func TestBootChain(t *testing.T) {
	off, on := secureBoot(inventory.SecureBootOff), secureBoot(inventory.SecureBootOn)
	vm := func(m *inventory.Machine) { m.Kind = inventory.KindVM }
	ipxe := client(ArchEFIX64)
	ipxe.IPXE = true
	other := client(ArchEFIX64)
	other.MAC, other.UUID = "52:54:00:00:00:99", strings.ToUpper(uuid)
	for _, c := range []struct {
		name   string
		client Client
		known  *inventory.Machine
		want   Offer
	}{
		{"BIOS", client(ArchBIOS), nil, Offer{File: folder + "undionly.kpxe", Chain: inventory.ChainUndionly}},
		{"UEFI 7, unknown", client(ArchEFIBC), nil, Offer{File: folder + "shimx64.efi", Chain: inventory.ChainShim}},
		{"UEFI 9, unknown", client(ArchEFIX64), nil, Offer{File: folder + "shimx64.efi", Chain: inventory.ChainShim}},
		{"UEFI, Secure Boot not known", client(ArchEFIX64), machine(), Offer{File: folder + "shimx64.efi", Chain: inventory.ChainShim}},
		{"UEFI, Secure Boot on", client(ArchEFIX64), machine(on), Offer{File: folder + "shimx64.efi", Chain: inventory.ChainShim}},
		{"UEFI, Secure Boot off", client(ArchEFIX64), machine(off), Offer{File: folder + "snponly.efi", Chain: inventory.ChainSNP}},
		{"UEFI, Secure Boot off, to its disk", client(ArchEFIX64), machine(off, state(inventory.Deployed, "")), Offer{File: folder + "shimx64.efi", Chain: inventory.ChainShim}},
		{"UEFI, found by UUID", other, machine(off), Offer{File: "52-54-00-00-00-99/snponly.efi", Chain: inventory.ChainSNP}},
		{"UEFI, override", client(ArchEFIX64), machine(off, chain(inventory.ChainIPXE)), Offer{File: folder + "ipxe.efi", Chain: inventory.ChainIPXE}},
		{"override none", client(ArchEFIX64), machine(chain(inventory.ChainNone)), Offer{Nothing: "its boot chain is set to none"}},
		{"override none, BIOS", client(ArchBIOS), machine(chain(inventory.ChainNone)), Offer{Nothing: "its boot chain is set to none"}},
		{"HTTP boot", client(ArchHTTPX64), nil, Offer{URL: base + "snponly.efi", Chain: inventory.ChainSNP}},
		{"HTTP boot EBC", client(ArchHTTPEBC), nil, Offer{URL: base + "snponly.efi", Chain: inventory.ChainSNP}},
		{"HTTP boot never gets shim", client(ArchHTTPX64), machine(on, chain(inventory.ChainShim)), Offer{URL: base + "snponly.efi", Chain: inventory.ChainSNP}},
		{"HTTP boot, override", client(ArchHTTPX64), machine(chain(inventory.ChainIPXE)), Offer{URL: base + "ipxe.efi", Chain: inventory.ChainIPXE}},
		{"arm64", client(ArchEFIARM64), nil, Offer{File: folder + "shimaa64.efi", Chain: inventory.ChainShim}},
		{"IA32", client(ArchEFIIA32), nil, Offer{Nothing: "no boot files for 32-bit UEFI clients"}},
		{"ARM32", client(ArchEFIARM32), nil, Offer{Nothing: "no boot files for 32-bit ARM UEFI clients"}},
		{"IA32 HTTP", client(ArchHTTPIA32), nil, Offer{Nothing: "no boot files for 32-bit UEFI HTTP boot clients"}},
		{"ARM32 HTTP", client(ArchHTTPARM32), nil, Offer{Nothing: "no boot files for 32-bit ARM UEFI HTTP boot clients"}},
		{"unknown architecture", client(77), nil, Offer{Nothing: "no boot files for unknown architecture 77 clients"}},
		{"iPXE is there", ipxe, nil, Offer{URL: base + "script.ipxe", Chain: inventory.ChainIPXE}},
		{"virtual machine", client(ArchBIOS), machine(vm), Offer{Nothing: "it is a virtual machine of a host"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := newTable()
			if c.known != nil {
				table.Put(c.known)
			}
			if d := cmp.Diff(c.want, table.Boot(c.client)); d != "" {
				t.Errorf("Boot (-want +got):\n%s", d)
			}
		})
	}
}

func TestDiscoveryOff(t *testing.T) {
	table := NewTable(Config{})
	if got := table.Boot(client(ArchBIOS)); got.Nothing != "machine is unknown and discovery is off" {
		t.Errorf("Boot = %+v", got)
	}
	table.Put(machine())
	if got := table.Boot(client(ArchBIOS)); got.File == "" {
		t.Errorf("a known machine gets %+v", got)
	}
}

func TestNetworkOverride(t *testing.T) {
	table := newTable()
	table.SetNetworks([]inventory.Network{{Name: "rack", Chain: inventory.ChainSNP}})
	if got := table.Boot(client(ArchEFIX64)).Chain; got != inventory.ChainSNP {
		t.Errorf("chain = %s, want the network's", got)
	}
	table.Put(machine(chain(inventory.ChainShim)))
	if got := table.Boot(client(ArchEFIX64)).Chain; got != inventory.ChainShim {
		t.Errorf("chain = %s, want the machine's before the network's", got)
	}
	table.SetNetworks(nil)
	table.Put(machine())
	if got := table.Boot(client(ArchEFIX64)).Chain; got != inventory.ChainShim {
		t.Errorf("chain = %s after the override went", got)
	}
}

// TestRejectedChain: what a firmware refused is not offered again to that MAC and
// architecture, and two refusals bring the first back.
func TestRejectedChain(t *testing.T) {
	for _, c := range []struct {
		name string
		arch int
		want []inventory.BootChain
	}{
		{"PXE", ArchEFIX64, []inventory.BootChain{inventory.ChainShim, inventory.ChainSNP, inventory.ChainShim}},
		{"HTTP boot", ArchHTTPX64, []inventory.BootChain{inventory.ChainSNP, inventory.ChainIPXE, inventory.ChainSNP}},
	} {
		table := newTable()
		for i, want := range c.want {
			got := table.Boot(client(c.arch)).Chain
			if got != want {
				t.Errorf("%s, boot %d: %s, want %s", c.name, i, got, want)
			}
			next := table.reject(mac, c.arch, got)
			if i+1 < len(c.want) && next != c.want[i+1] {
				t.Errorf("%s, boot %d: next is told as %s, want %s", c.name, i, next, c.want[i+1])
			}
		}
		stranger := client(c.arch)
		stranger.MAC = "52:54:00:00:00:99"
		if got := table.Boot(stranger).Chain; got != c.want[0] {
			t.Errorf("%s: another machine gets %s", c.name, got)
		}
	}
}

func TestAnswer(t *testing.T) {
	hold := func(m *inventory.Machine) { m.Status.Hold = "restored" }
	conflict := func(m *inventory.Machine) { m.Status.Conflict = "two UUIDs" }
	for _, c := range []struct {
		name string
		m    *inventory.Machine
		want inventory.BootAnswer
		why  string
	}{
		{"discovered", machine(state(inventory.Discovered, "")), inventory.BootAgent, "discovered"},
		{"inspecting", machine(state(inventory.Inspecting, inventory.PhaseInspect)), inventory.BootAgent, "inspecting"},
		{"ready", machine(), inventory.BootAgent, "ready"},
		{"deploying, to write", machine(state(inventory.Deploying, inventory.PhaseBoot)), inventory.BootAgent, "deploying"},
		{"deploying, writing", machine(state(inventory.Deploying, inventory.PhaseWrite)), inventory.BootAgent, "deploying"},
		{"deploying, rebooting", machine(state(inventory.Deploying, inventory.PhaseReboot)), inventory.BootDisk, "deploying, reboot"},
		{"deploying, first boot", machine(state(inventory.Deploying, inventory.PhaseFirstBoot)), inventory.BootDisk, "deploying, first-boot"},
		{"deployed", machine(state(inventory.Deployed, "")), inventory.BootDisk, "deployed"},
		{"releasing", machine(state(inventory.Releasing, inventory.PhaseWipe)), inventory.BootAgent, "releasing"},
		{"rescue", machine(state(inventory.Rescue, inventory.PhaseBoot)), inventory.BootAgent, "rescue"},
		{"retired", machine(state(inventory.Retired, "")), inventory.BootDisk, "retired"},
		{"on hold while deploying", machine(state(inventory.Deploying, inventory.PhaseWrite), hold), inventory.BootDisk, "on hold: restored"},
		{"conflict", machine(state(inventory.Deploying, inventory.PhaseWrite), conflict), inventory.BootDisk, "identity conflict"},
	} {
		if got, why := Answer(c.m); got != c.want || why != c.why {
			t.Errorf("%s: %s (%s), want %s (%s)", c.name, got, why, c.want, c.why)
		}
	}
}

// TestForgetting: a machine that is deleted or changed its NIC is not found by what it
// had before.
func TestForgetting(t *testing.T) {
	table := newTable(machine())
	table.Put(machine(func(m *inventory.Machine) { m.Identity.MACs = []inventory.MAC{"52:54:00:00:00:02"} }))
	if table.Known(mac) || !table.Known("52:54:00:00:00:02") {
		t.Error("the old NIC is still the machine's")
	}
	table.remove("m-1")
	if table.Known("52:54:00:00:00:02") || table.lookup("", uuid) != nil {
		t.Error("a deleted machine is still known")
	}
}
