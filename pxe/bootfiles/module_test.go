package bootfiles

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseModinfo(t *testing.T) {
	got, err := parseModinfo(moduleELF("license=GPL", "depends=a-b,c", "alias=x", "alias=y", "firmware=f/1.bin",
		"softdep=pre: crc32c sha-256 post: late", "noequals"))
	if err != nil {
		t.Fatal(err)
	}
	want := modinfo{depends: []string{"a_b", "c"}, aliases: []string{"x", "y"}, firmware: []string{"f/1.bin"},
		softdeps: []string{"pre: crc32c sha-256 post: late"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(modinfo{})); diff != "" {
		t.Errorf("parseModinfo (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"crc32c", "sha_256"}, got.softPre()); diff != "" {
		t.Errorf("softPre (-want +got):\n%s", diff)
	}
	for name, bad := range map[string][]byte{"empty": nil, "text": []byte("#!/bin/sh"), "cut": moduleELF("a=b")[:70]} {
		if _, err := parseModinfo(bad); err == nil {
			t.Errorf("parseModinfo of %s = nil; want an error", name)
		}
	}
}

func FuzzParseModinfo(f *testing.F) {
	f.Add(moduleELF("depends=a", "softdep=pre: b"))
	f.Add(moduleELF())
	f.Add(moduleELF("alias=x")[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		if info, err := parseModinfo(b); err == nil {
			info.softPre()
		}
	})
}

func TestModuleTree(t *testing.T) {
	tree, err := readModuleTree(moduleRoot(smallRoot(t), "6.1.0-9-amd64"))
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := parseModules("1 igb # a card\n\n2 drivers/ata/\n2 bnx2\n1 8250\n2 gone\n")
	if err != nil {
		t.Fatal(err)
	}
	got, err := divide(tree, wanted)
	if err != nil {
		t.Fatal(err)
	}
	want := stages{first: []string{"dca", "i2c_algo_bit", "i2c_base", "igb"}, second: []string{"ahci", "bnx2", "libata"}, absent: []string{"gone"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(stages{})); diff != "" {
		t.Errorf("divide (-want +got):\n%s", diff)
	}
	deps, err := tree.depLines([]string{"igb", "ahci"})
	if err != nil {
		t.Fatal(err)
	}
	const net, i2c = "kernel/drivers/net/ethernet/intel/igb/igb.ko", "kernel/drivers/i2c/"
	wantDeps := net + ": kernel/drivers/dca/dca.ko " + i2c + "i2c-algo-bit.ko " + i2c + "i2c_base.ko\n" +
		"kernel/drivers/ata/ahci.ko: kernel/drivers/ata/libata.ko kernel/drivers/dca/dca.ko\n"
	if diff := cmp.Diff(wantDeps, deps); diff != "" {
		t.Errorf("modules.dep (-want +got):\n%s", diff)
	}
	aliases, err := tree.aliasLines([]string{"igb"})
	if diff := cmp.Diff("alias pci:v00008086d00001521sv*sd*bc*sc*i* igb\n", aliases); diff != "" || err != nil {
		t.Errorf("modules.alias, %v (-want +got):\n%s", err, diff)
	}
}

func TestParseModules(t *testing.T) {
	for _, bad := range []string{"igb", "3 igb", "1 igb ixgbe", "one igb"} {
		if _, err := parseModules("# table\n" + bad); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("parseModules(%q) = %v; want an error that names line 2", bad, err)
		}
	}
}

func TestFindKernel(t *testing.T) {
	tests := []struct {
		name     string
		versions []string
		want     string
		err      error
	}{
		{"newest by number", []string{"6.1.0-9-amd64", "6.1.0-56-amd64", "5.10.0-99-amd64"}, "6.1.0-56-amd64", nil},
		{"cloud passed over", []string{"6.1.0-9-amd64", "6.1.0-56-cloud-amd64"}, "6.1.0-9-amd64", nil},
		{"cloud only", []string{"6.1.0-56-cloud-amd64"}, "", ErrCloudKernel},
		{"none", nil, "", cmpopts.AnyError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for _, v := range tt.versions {
				writeFile(t, root, "boot/vmlinuz-"+v, nil)
				writeFile(t, root, "lib/modules/"+v+"/kernel/a.ko", nil)
			}
			got, err := findKernel(root)
			if got != tt.want || !cmp.Equal(err, tt.err, cmpopts.EquateErrors()) {
				t.Errorf("findKernel = %q, %v; want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
	if err := refuseCloud("linux-image-6.1.0-56-cloud-amd64"); !errors.Is(err, ErrCloudKernel) {
		t.Errorf("refuseCloud = %v", err)
	}
}

func TestFindFirmware(t *testing.T) {
	root := t.TempDir()
	writeFile(t, root, "lib/firmware/d/x-1.bin", []byte("1"))
	writeFile(t, root, "lib/firmware/d/x-2.bin", []byte("2"))
	for link, target := range map[string]string{"d/good": "x-1.bin", "d/two": "good", "d/dangling": "nothing", "d/outside": "../../../../etc/passwd", "d/loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(root, "lib/firmware", link)); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		entry string
		want  []string
	}{
		{"d/x-1.bin", []string{"d/x-1.bin"}},
		{"d/x-*.bin", []string{"d/x-1.bin", "d/x-2.bin"}},
		{"d/good", []string{"d/good", "d/x-1.bin"}},
		{"d/two", []string{"d/two", "d/good", "d/x-1.bin"}},
		{"d/dangling", nil},
		{"d/outside", nil},
		{"d/loop", nil},
		{"none", nil},
	}
	for _, tt := range tests {
		got, err := findFirmware(root, tt.entry)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("findFirmware(%s), %v (-want +got):\n%s", tt.entry, err, diff)
		}
	}
}
