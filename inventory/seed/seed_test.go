package seed

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

func machine() *inventory.Machine {
	return &inventory.Machine{ID: "m-1", Name: "web", Spec: inventory.Spec{Generation: 3, SSHKeys: []string{"ssh-ed25519 AAAA me"}}}
}

func TestMake(t *testing.T) {
	d, err := Make(Input{Machine: machine(), PhoneHomeURL: "http://192.0.2.1/phone-home/x",
		NICs: []inventory.NIC{{MAC: "52:54:00:00:00:01"}, {MAC: "52:54:00:00:00:02", Boot: true}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ got, want string }{
		"meta-data": {string(d.MetaData), "instance-id: m-1-3\nlocal-hostname: web\npublic-keys:\n  - ssh-ed25519 AAAA me\n"},
		"user-data": {string(d.UserData), "#cloud-config\n{}\n"},
		"network-config": {string(d.NetworkConfig), `version: 2
ethernets:
  nic0:
    match:
      macaddress: "52:54:00:00:00:01"
    dhcp4: true
    optional: true
  nic1:
    match:
      macaddress: "52:54:00:00:00:02"
    dhcp4: true
`},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for _, want := range []string{"Content-Type: multipart/mixed; boundary=\"ingot-vendor-data\"\n", "#cloud-config\nphone_home:\n  url: http://192.0.2.1/phone-home/x\n",
		"Content-Type: text/x-shellscript", "conv=notrunc,fsync"} {
		if !strings.Contains(string(d.VendorData), want) {
			t.Errorf("vendor-data has no %q:\n%s", want, d.VendorData)
		}
	}
}

func TestCheckUserData(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		ok   bool
	}{
		"none":        {"", true},
		"config":      {"#cloud-config\npackages: [vim]\n", true},
		"script":      {"#!/bin/sh\ntrue\n", true},
		"no header":   {"packages: [vim]\n", false},
		"bad YAML":    {"#cloud-config\npackages: [vim\n", false},
		"not mapping": {"#cloud-config\n- a\n", false},
	} {
		err := CheckUserData([]byte(c.data))
		if (err == nil) != c.ok || (err != nil && !errors.Is(err, inventory.ErrInvalid)) {
			t.Errorf("%s: %v, want ok %v", name, err, c.ok)
		}
	}
}

// TestPackIsVfat lets tools that Ingot didn't write read the seed: blkid, which
// ds-identify calls, and mtools.
func TestPackIsVfat(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		big := strings.Repeat("x", 40000)
		data, err := Pack(Documents{MetaData: []byte("m"), UserData: []byte(big), VendorData: []byte("v"), NetworkConfig: []byte("n")}, sector)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "seed")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		out := tool(t, "blkid", "-p", "-o", "export", path)
		if !strings.Contains(out, "LABEL=CIDATA\n") || !strings.Contains(out, "TYPE=vfat\n") {
			t.Errorf("sector %d: blkid says\n%s", sector, out)
		}
		tool(t, "fsck.fat", "-n", path)
		if got := tool(t, "mtype", "-i", path, "::user-data"); got != big {
			t.Errorf("user-data of %d bytes, want %d", len(got), len(big))
		}
	}
}

// TestPackRefuses what does not fit.
func TestPackRefuses(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		for _, size := range []int{SizeBytes - 4096, SizeBytes, 2 * SizeBytes} {
			if _, err := Pack(Documents{UserData: make([]byte, size)}, sector); err == nil {
				t.Errorf("sector %d: %d bytes of user data fit %d", sector, size, SizeBytes)
			}
		}
	}
	if _, err := Pack(Documents{}, 2048); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("sectors of 2048 bytes: %v", err)
	}
}

func tool(t *testing.T, name string, args ...string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed: apt install util-linux dosfstools mtools", name)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}
