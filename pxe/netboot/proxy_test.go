package netboot

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

// TestProxyChain: beside another DHCP server GRUB can't find its configuration, so UEFI
// gets iPXE unless Secure Boot is known to be on, and silence when it is to boot its disk.
func TestProxyChain(t *testing.T) {
	for name, c := range map[string]struct {
		machine *inventory.Machine
		file    string
		nothing bool
	}{
		"unknown":         {nil, folder + "snponly.efi", false},
		"Secure Boot off": {machine(secureBoot(inventory.SecureBootOff)), folder + "snponly.efi", false},
		"Secure Boot on":  {machine(secureBoot(inventory.SecureBootOn)), folder + "shimx64.efi", false},
		"deployed":        {machine(state(inventory.Deployed, "")), "", true},
	} {
		var ms []*inventory.Machine
		if c.machine != nil {
			ms = append(ms, c.machine)
		}
		asks := client(ArchEFIBC)
		asks.Proxy = true
		got := newTable(ms...).Boot(asks)
		if d := cmp.Diff(c.file, got.File); d != "" || (got.Nothing != "") != c.nothing {
			t.Errorf("%s: %+v (-want +got):\n%s", name, got, d)
		}
	}
}

func TestOptionalFiles(t *testing.T) {
	for name, want := range map[string]bool{
		"revocations_sbat.efi": true, "shim_certificate_0.efi": true, "grub/x86_64-efi/command.lst": true, "grub/grub.cfg-01-52-54": true,
		"grub/grub.cfg": false, "vmlinuz": false, "pxelinux.0": false,
	} {
		if got := optional(name); got != want {
			t.Errorf("optional(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestForgedMACsDontFillTheInventory(t *testing.T) {
	table := newTable()
	for i := range maxDiscovered {
		table.Put(&inventory.Machine{ID: fmt.Sprint("m-", i), Kind: inventory.KindMetal, Status: inventory.Status{State: inventory.Discovered}})
	}
	r := NewRecorder(table, nil, time.Now, nil) // a store that is touched would crash
	if err := r.discover(t.Context(), mac, &attempt{}); err != nil {
		t.Fatal(err)
	}
	if table.Known(mac) {
		t.Errorf("machine %d was made", maxDiscovered+1)
	}
}
