package vsphere_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/hypervisor"
	"ingot/hypervisor/vsphere/sim"
	"ingot/inventory"
)

var update = flag.Bool("update", false, "write the golden requests anew; read the difference")

// The requests that matter, as they go over the wire: what vCenter makes of them can't be
// tried here, so a person looks at each change of them.
func TestGoldenRequests(t *testing.T) {
	vc := start(t, sim.Options{})
	if err := vc.AddKeyProvider("keys"); err != nil {
		t.Fatal(err)
	}
	d := open(t, vc, "golden")
	if err := d.EnsureImage(t.Context(), image(t), nil); err != nil {
		t.Fatal(err)
	}
	golden(t, vc, "CreateImportSpec", "createimportspec")
	golden(t, vc, "ImportVApp", "importvapp")
	golden(t, vc, "CreateSnapshot_Task", "createsnapshot")
	golden(t, vc, "ReconfigVM_Task", "markready")

	linked := machine("m-linked", "web/1")
	linked.Name, linked.CPUs, linked.MemoryBytes = "web 1", 2, 512<<20
	linked.Firmware, linked.SecureBoot, linked.TPM = inventory.FirmwareUEFI, true, true
	linked.Disks = append(linked.Disks, hypervisor.DiskSpec{SizeBytes: 8 << 20})
	make := func(s hypervisor.Spec) {
		t.Helper()
		if _, err := d.Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	vc.Forget()
	make(linked)
	golden(t, vc, "CloneVM_Task", "linkedclone")
	full := machine("m-full", "full")
	full.Disks[0].SizeBytes = imageBytes + 1<<20
	vc.Forget()
	make(full)
	golden(t, vc, "CloneVM_Task", "fullclone")
	vc.Forget()
	if err := d.GrowDisk(t.Context(), full.ID, 0, imageBytes+2<<20); err != nil {
		t.Fatal(err)
	}
	golden(t, vc, "ReconfigVM_Task", "growdisk")
	empty := machine("m-empty", "empty")
	empty.Image, empty.Disks[0].SizeBytes = "", 8<<20
	vc.Forget()
	make(empty)
	golden(t, vc, "CreateVM_Task", "emptydisk")

	host := start(t, sim.Options{ESX: true})
	e := ready(t, host, "golden")
	host.Forget()
	if _, err := e.Create(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	golden(t, host, "CopyVirtualDisk_Task", "esxcopydisk")
	golden(t, host, "ExtendVirtualDisk_Task", "esxextenddisk")
	golden(t, host, "CreateVM_Task", "esxcreatevm")
}

// golden compares the last request of a method with the one in testdata.
func golden(t *testing.T, s *sim.Server, method, name string) {
	t.Helper()
	got := ""
	for _, c := range s.Calls() {
		if c.Method == method {
			got = c.XML()
		}
	}
	path := filepath.Join("testdata", name+".xml")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
