package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/hypervisor/qemu"
)

// startDNSMasq runs dnsmasq as the boot server of the rack: a DHCP and TFTP server
// that is not ours, so a boot proves the rack alone.
func startDNSMasq(t testing.TB, ctx context.Context, l *Lab, files, efiLoader string) *transcript {
	t.Helper()
	said := new(transcript)
	cmd := l.Command(ctx, "dnsmasq", "--keep-in-foreground", "--pid-file=", "--conf-file=/dev/null", "--port=0", "--log-facility=-",
		"--user=root", "--interface=boot", "--bind-dynamic", "--dhcp-range=192.0.2.100,192.0.2.150,1h", "--dhcp-leasefile="+filepath.Join(files, "leases"),
		"--enable-tftp", "--tftp-root="+files,
		"--dhcp-match=set:ipxe,175", "--dhcp-match=set:efi,option:client-arch,7",
		"--dhcp-boot=tag:ipxe,script.ipxe", "--dhcp-boot=tag:efi,tag:!ipxe,"+efiLoader, "--dhcp-boot=tag:!efi,tag:!ipxe,undionly.kpxe")
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	said.expect(t, ctx, "TFTP root")
	return said
}

// bootFiles is a folder with Debian's iPXE and a script that fetches a marker.
func bootFiles(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"snponly.efi", "undionly.kpxe"} {
		b, err := os.ReadFile(filepath.Join("/usr/lib/ipxe", name))
		if err != nil {
			t.Skipf("needs Debian's ipxe package: %v", err)
		}
		writeFile(t, dir, name, b)
	}
	writeFile(t, dir, "script.ipxe", []byte("#!ipxe\nimgfetch tftp://192.0.2.1/marker-${netX/mac:hexhyp} ||\necho the script has run\nsleep 3600\n"))
	return dir
}

func writeFile(t testing.TB, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestSecureBootFallsBackToPXE asserts that a machine which asks by HTTP first, of
// a server that only knows PXE, comes to PXE in the same power-on and starts the
// signed loaders: shim loads GRUB, and GRUB asks for its configuration.
func TestSecureBootFallsBackToPXE(t *testing.T) {
	needRack(t, "dnsmasq")
	if testing.Short() {
		t.Skip("boots a machine under emulation, two minutes")
	}
	files := t.TempDir()
	for name, path := range map[string]string{
		"shimx64.efi": "/usr/lib/shim/shimx64.efi.signed",
		"grubx64.efi": "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
	} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Skipf("needs Debian's shim-signed and grub-efi-amd64-signed: %v", err)
		}
		writeFile(t, files, name, b)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	l := mustUp(t, Spec{Networks: []Network{bootNetwork()}, Machines: []Machine{
		{Name: "m1", Firmware: qemu.FirmwareSecureBoot, HTTPFirst: true, MemoryMiB: 512, NICs: []NIC{{Network: "boot"}}}}})
	said := startDNSMasq(t, ctx, l, files, "shimx64.efi")
	if err := l.Power(ctx, "m1", On); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	said.expect(t, ctx, "sent "+files+"/shimx64.efi")
	t.Logf("shim sent %v after power-on", time.Since(began).Round(time.Second))
	said.expect(t, ctx, "sent "+files+"/grubx64.efi")
	said.expect(t, ctx, "grub.cfg")
	log, err := os.ReadFile(l.ConsoleLog("m1"))
	if err != nil || !strings.Contains(string(log), "Start HTTP Boot over IPv4") {
		t.Errorf("the firmware did not try HTTP first: %v, %q", err, log)
	}
}

// TestBoot switches machines on and waits until dnsmasq has sent them the marker:
// firmware, DHCP, TFTP, iPXE and its script have worked by then.
func TestBoot(t *testing.T) {
	needRack(t, "dnsmasq")
	if testing.Short() {
		t.Skip("boots five machines under emulation, two minutes")
	}
	tests := []struct {
		name    string
		machine Machine
	}{
		{"bios", Machine{Firmware: qemu.FirmwareBIOS}},
		{"bios e1000e", Machine{Firmware: qemu.FirmwareBIOS, NICs: []NIC{{Network: "boot", Model: qemu.NICE1000E}}}},
		{"uefi", Machine{Firmware: qemu.FirmwareUEFI}},
		{"uefi vmxnet3", Machine{Firmware: qemu.FirmwareUEFI, NICs: []NIC{{Network: "boot", Model: qemu.NICVMXNET3}}}},
		{"uefi second of three cards", Machine{Firmware: qemu.FirmwareUEFI, NICs: []NIC{{Network: "spare", BootIndex: -1}, {Network: "boot"}, {Network: "spare", BootIndex: -1}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := bootFiles(t)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
			defer cancel()
			m := tt.machine
			m.Name, m.MemoryMiB = "m1", 512
			m.Disks = []Disk{{}}
			if m.NICs == nil {
				m.NICs = []NIC{{Network: "boot"}}
			}
			l := mustUp(t, Spec{Networks: []Network{bootNetwork(), {Name: "spare"}}, Machines: []Machine{m}})
			marker := "marker-" + hexHyphen(t, l)
			writeFile(t, files, marker, []byte("here"))
			said := startDNSMasq(t, ctx, l, files, "snponly.efi")
			began := time.Now()
			if err := l.Power(ctx, "m1", On); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if t.Failed() {
					b, err := os.ReadFile(l.ConsoleLog("m1"))
					t.Logf("console: %q, %v", b[max(0, len(b)-3000):], err)
				}
			})
			said.expect(t, ctx, fmt.Sprintf("sent %s/%s to", files, marker))
			t.Logf("marker sent %v after power-on", time.Since(began).Round(time.Second))
		})
	}
}

// hexHyphen is the MAC address of the card on the boot network, as iPXE writes it.
func hexHyphen(t testing.TB, l *Lab) string {
	t.Helper()
	for _, n := range l.Spec().Machines[0].NICs {
		if n.Network == "boot" {
			return strings.ReplaceAll(n.MAC, ":", "-")
		}
	}
	t.Fatal("no card on the boot network")
	return ""
}
