package netboot

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

var update = flag.Bool("update", false, "write the golden files")

// TestScripts compares the rendered scripts with golden files.
func TestScripts(t *testing.T) {
	vm := func(m *inventory.Machine) { m.Kind = inventory.KindVM }
	for _, c := range []struct {
		name string
		m    *inventory.Machine
		want inventory.BootAnswer
	}{
		{"unknown", nil, inventory.BootAgent},
		{"agent", machine(), inventory.BootAgent},
		{"disk", machine(state(inventory.Deployed, "")), inventory.BootDisk},
		{"none", machine(vm), inventory.BootNone},
	} {
		table := newTable()
		if c.m != nil {
			table.Put(c.m)
		}
		ipxe, err := table.IPXE(mac, serverIP)
		if err != nil {
			t.Fatal(err)
		}
		grub, err := table.GRUB(mac, serverIP)
		if err != nil {
			t.Fatal(err)
		}
		if ipxe.Answer != c.want || grub.Answer != c.want {
			t.Errorf("%s: iPXE boots %s, GRUB %s; want %s", c.name, ipxe.Answer, grub.Answer, c.want)
		}
		golden(t, c.name+".ipxe", ipxe.Text)
		golden(t, c.name+".grub", grub.Text)
	}
	generic, err := newTable().GRUB("", serverIP)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "any.grub", generic.Text)
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s, see go test -update (-want +got):\n%s", name, d)
	}
}

// TestScriptsHoldNoForeignText: names come from inventory, which allows labels alone; no
// text of a hold or of facts can end a line and begin a command.
func TestScriptsHoldNoForeignText(t *testing.T) {
	table := newTable(machine(func(m *inventory.Machine) { m.Status.Hold = "restored\nshell" }))
	for name, render := range map[string]func() (Script, error){
		"ipxe": func() (Script, error) { return table.IPXE(mac, serverIP) },
		"grub": func() (Script, error) { return table.GRUB(mac, serverIP) },
	} {
		s, err := render()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(s.Text), "\nshell") {
			t.Errorf("%s: a hold's text is a command:\n%s", name, s.Text)
		}
	}
}
