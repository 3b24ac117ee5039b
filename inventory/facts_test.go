package inventory

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func server() *Facts {
	return &Facts{
		System:   System{Manufacturer: "HPE", Product: "ProLiant DL360 Gen10", UUID: uuidA, Serial: "CZ1"},
		Firmware: Firmware{Version: "U32", SecureBoot: SecureBootOff},
		CPUs:     []CPU{{Threads: 32}, {Threads: 32}},
		Memory:   Memory{TotalBytes: 256e9, DIMMs: []DIMM{{Slot: "P1-1", SizeBytes: 128e9, Serial: "D1", Part: "M393"}, {Slot: "P1-2", SizeBytes: 128e9, Serial: "D2", Part: "M393"}, {Slot: "P1-3"}}},
		Disks:    []Disk{{Name: "sda", Model: "SSD", Serial: "S1", WWN: "0x1", SizeBytes: 1e12}, {Name: "sdb", SizeBytes: 2e12}},
		NICs:     []NIC{{Name: "eth0", MAC: macA, Driver: "i40e", Neighbour: &Neighbour{SystemName: "leaf1", PortID: "Eth7"}}, {Name: "eth1", MAC: macB, Driver: "i40e"}},
		PCI:      []PCIDevice{{Address: "0000:3b:00.0", Vendor: "8086", Device: "1572"}},
	}
}

func TestFactsChanges(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Facts)
		want   []string
	}{
		"nothing":           {func(*Facts) {}, nil},
		"other kernel name": {func(f *Facts) { f.Disks[0].Name = "sdc" }, nil},
		"disk swapped": {func(f *Facts) { f.Disks[0].Serial, f.Disks[0].WWN = "S9", "0x9" },
			[]string{"disk gone: SSD S1 1.00 TB", "disk new: SSD S9 1.00 TB"}},
		"NIC gone":   {func(f *Facts) { f.NICs = f.NICs[:1] }, []string{"NIC gone: 52:54:00:00:00:0b i40e"}},
		"DIMM lost":  {func(f *Facts) { f.Memory.DIMMs = f.Memory.DIMMs[:1] }, []string{"DIMM gone: P1-2 128 GB M393"}},
		"DIMM added": {func(f *Facts) { f.Memory.DIMMs[2].SizeBytes = 64e9 }, []string{"DIMM new: P1-3 64.0 GB"}},
		"cable moved": {func(f *Facts) { f.NICs[0].Neighbour = &Neighbour{SystemName: "leaf1", PortID: "Eth8"} },
			[]string{"cable gone: eth0 to leaf1 port Eth7", "cable new: eth0 to leaf1 port Eth8"}},
		"firmware":    {func(f *Facts) { f.Firmware.Version = "U33" }, []string{"firmware U33, was U32"}},
		"Secure Boot": {func(f *Facts) { f.Firmware.SecureBoot = SecureBootOn }, []string{"Secure Boot on, was off"}},
		"PCI card":    {func(f *Facts) { f.PCI = nil }, []string{"PCI device gone: 0000:3b:00.0 8086:1572"}},
	} {
		now := server()
		c.change(now)
		if d := cmp.Diff(c.want, now.Changes(server())); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if got := server().Changes(nil); got != nil {
		t.Errorf("first facts changed %q", got)
	}
	old, now := server(), server()
	old.Memory, now.Memory = Memory{TotalBytes: 8e9}, Memory{TotalBytes: 16e9}
	if d := cmp.Diff([]string{"memory 16.0 GB, was 8.00 GB"}, now.Changes(old)); d != "" {
		t.Errorf("memory without DIMMs (-want +got):\n%s", d)
	}
}

func TestFactsSummaryAndIdentity(t *testing.T) {
	want := "HPE ProLiant DL360 Gen10, 64 threads, 256 GB memory, 2 disks, 2 NICs"
	if got := server().Summary(); got != want {
		t.Errorf("Summary = %q, want %q", got, want)
	}
	if got := (&Facts{}).Summary(); got != "0 disks, 0 NICs" {
		t.Errorf("Summary of nothing = %q", got)
	}
	if d := cmp.Diff(Identity{UUID: uuidA, Serial: "CZ1", MACs: []MAC{macA, macB}}, server().Identity()); d != "" {
		t.Errorf("Identity (-want +got):\n%s", d)
	}
}

func TestMachineNames(t *testing.T) {
	m := NewMachine(macA, stateTime)
	if m.Name != "metal-52540000000a" || CheckName(m.Name) != nil || len(m.ID) != len("m-")+12 || m.Status.State != Discovered {
		t.Errorf("NewMachine = %+v", m)
	}
	if m.HostnameOrName() != m.Name {
		t.Errorf("hostname = %s", m.HostnameOrName())
	}
	m.Spec.Hostname = "web"
	if m.HostnameOrName() != "web" {
		t.Errorf("hostname = %s", m.HostnameOrName())
	}
	for name, ok := range map[string]bool{"a": true, "web-1": true, "-web": false, "web-": false, "Web": false, "": false, "a.b": false,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": true, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": false} {
		if (CheckName(name) == nil) != ok {
			t.Errorf("CheckName(%q) ok = %v, want %v", name, !ok, ok)
		}
	}
}
