package lint_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/images/contents"
	"ingot/images/contents/contentstest"
	"ingot/images/lint"
)

// clean is a root that passes all checks.
func clean() contentstest.Tree {
	return contentstest.Tree{
		"etc/machine-id": "", "etc/shadow": "root:*:20000::::::\nwww-data:!:20000::::::\n", "etc/passwd": "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n",
		"etc/ssh/sshd_config": "x", "var/log/": "", "var/lib/dhcp/": "", "var/lib/apt/lists/": "", "root/": "", "home/me/": "",
		"usr/bin/growpart": "x", "usr/bin/cloud-init": "x", "usr/bin/vmtoolsd": "x", "boot/vmlinuz-6.1.0-1-amd64": "x",
		"var/lib/dpkg/status": "Package: qemu-guest-agent\nStatus: install ok installed\nVersion: 1\n\nPackage: hyperv-daemons\nStatus: install ok installed\nVersion: 1\n",
		"boot/grub/grub.cfg":  "linux /vmlinuz console=ttyS0,115200n8\n", "var/lib/cloud/": "",
	}
}

var esp = contentstest.Tree{"EFI/BOOT/BOOTX64.EFI": "MZ"}

func check(t *testing.T, root, esp contentstest.Tree) lint.Findings {
	t.Helper()
	d, err := contents.Open(contentstest.Disk(t, root, esp), contentstest.Bytes, 512)
	if err != nil {
		t.Fatal(err)
	}
	f, err := lint.Check(t.Context(), d, lint.Options{UEFI: true, BIOS: true, CloudInit: true})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestClean(t *testing.T) {
	for _, f := range check(t, clean(), esp) {
		if f.Level != lint.OK {
			t.Errorf("%+v", f)
		}
	}
}

// TestFaults: each fault fails its check and no other, and says what to do.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		add, remove string
		content     string
		check       string
		level       lint.Level
	}{
		"machine-id":        {"etc/machine-id", "", "0123456789abcdef0123456789abcdef\n", "machine-id", lint.Failed},
		"dbus machine-id":   {"var/lib/dbus/machine-id", "", "0123\n", "machine-id", lint.Failed},
		"uninitialized":     {"etc/machine-id", "", "uninitialized\n", "machine-id", lint.Warning},
		"no machine-id":     {"", "etc/machine-id", "", "machine-id", lint.Warning},
		"host key":          {"etc/ssh/ssh_host_ed25519_key", "", "x", "SSH host keys", lint.Failed},
		"dhclient lease":    {"var/lib/dhcp/dhclient.eth0.leases", "", "lease {}", "DHCP state", lint.Failed},
		"networkd lease":    {"run/systemd/netif/leases/2", "", "x", "DHCP state", lint.Failed},
		"NIC rules":         {"etc/udev/rules.d/70-persistent-net.rules", "", "x", "persistent NIC names", lint.Failed},
		"NIC link":          {"etc/systemd/network/10-lan.link", "", "[Match]\nMACAddress=52:54:00:12:34:56\n", "persistent NIC names", lint.Failed},
		"random seed":       {"var/lib/systemd/random-seed", "", "x", "random seed", lint.Failed},
		"log":               {"var/log/dpkg.log", "", "x", "logs", lint.Failed},
		"deb":               {"var/cache/apt/archives/x.deb", "", "x", "package caches", lint.Failed},
		"lists":             {"var/lib/apt/lists/deb_InRelease", "", "x", "package caches", lint.Failed},
		"password":          {"etc/shadow", "", "root:$y$abc:20000::::::\n", "passwords", lint.Failed},
		"no password":       {"etc/shadow", "", "root::20000::::::\n", "passwords", lint.Failed},
		"authorized key":    {"home/me/.ssh/authorized_keys", "", "ssh-ed25519 A", "authorized keys", lint.Failed},
		"history":           {"root/.bash_history", "", "ls", "shell history", lint.Failed},
		"no vmtools":        {"", "usr/bin/vmtoolsd", "", "guest tools: vSphere", lint.Failed},
		"no growpart":       {"", "usr/bin/growpart", "", "root grows", lint.Failed},
		"no console":        {"boot/grub/grub.cfg", "", "linux /vmlinuz\n", "serial console", lint.Failed},
		"cloud kernel":      {"boot/vmlinuz-6.1.0-1-cloud-amd64", "boot/vmlinuz-6.1.0-1-amd64", "x", "kernel", lint.Failed},
		"no kernel":         {"", "boot/vmlinuz-6.1.0-1-amd64", "", "kernel", lint.Failed},
		"cloud-init ran":    {"var/lib/cloud/instance", "", "-> /var/lib/cloud/instances/i-1", "cloud-init is clean", lint.Failed},
		"no cloud-init":     {"", "usr/bin/cloud-init", "", "cloud-init", lint.Failed},
		"log, but empty":    {"var/log/wtmp", "", "", "logs", lint.OK},
		"another's console": {"etc/default/grub", "", "GRUB_CMDLINE_LINUX=console=ttyS0\n", "serial console", lint.OK},
	} {
		t.Run(name, func(t *testing.T) {
			root := clean()
			if c.add != "" {
				root[c.add] = c.content
			}
			delete(root, c.remove)
			for _, f := range check(t, root, esp) {
				switch {
				case f.Check == c.check && f.Level != c.level:
					t.Errorf("%+v, want %s", f, c.level)
				case f.Check != c.check && f.Level != lint.OK:
					t.Errorf("%+v too", f)
				case f.Level == lint.Failed && f.Fix == "":
					t.Errorf("%+v does not say what to do", f)
				}
			}
		})
	}
}

// TestNotSeen: what can't be read is not checked, and nothing of it is right.
func TestNotSeen(t *testing.T) {
	disk := make([]byte, 1<<20)
	copy(disk, "XFSB")
	d, err := contents.Open(strings.NewReader(string(disk)), int64(len(disk)), 512)
	if err != nil {
		t.Fatal(err)
	}
	findings, err := lint.Check(t.Context(), d, lint.Options{CloudInit: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.Level != lint.NotChecked || !strings.Contains(f.Detail, "xfs") {
			t.Errorf("%+v", f)
		}
	}
	if diff := cmp.Diff(lint.Findings{}, findings.Failed()); diff != "" {
		t.Error(diff)
	}
}

func TestNoLoader(t *testing.T) {
	for _, tree := range []contentstest.Tree{nil, {"EFI/debian/grubx64.efi": "MZ"}} {
		failed := check(t, clean(), tree).Failed()
		if len(failed) != 1 || failed[0].Check != "EFI/BOOT/BOOTX64.EFI" {
			t.Errorf("%+v", failed)
		}
	}
}
