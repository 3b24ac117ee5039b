package bootfiles

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ingot/hypervisor/qemu"
)

// debianRoot is the unpacked packages of this host's Debian release, kept from one
// run to the next in the user's cache directory.
func debianRoot(t testing.TB, ctx context.Context) string {
	t.Helper()
	if testing.Short() {
		t.Skip("fetches 110 MB of packages the first time, and compresses for a minute")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("needs apt-get: Debian's packages")
	}
	user, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	root, err := Acquire(ctx, Source{Cache: filepath.Join(user, "ingot-test", "packages")})
	if err != nil {
		t.Skipf("needs a Debian mirror: %v", err)
	}
	return root
}

const testInit = `package main

import (
	"fmt"
	"os"
	"syscall"
)

func main() {
	os.MkdirAll("/proc", 0o755)
	syscall.Mount("proc", "/proc", "proc", 0, "")
	line, _ := os.ReadFile("/proc/cmdline")
	fmt.Printf("command line: %s\n", line)
	ref, err := os.ReadFile("/etc/ingot/stage2.json")
	_, second := os.Stat("/etc/ingot/stage2.unpacked")
	fmt.Printf("the first stage runs: %s %v, second stage there: %v\n", ref, err, second == nil)
	syscall.Sync()
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
}
`

// serverModules are the drivers of common servers: the promise of the environment.
var serverModules = []string{
	"e1000e", "igb", "ixgbe", "i40e", "ice", "bnxt_en", "bnx2", "bnx2x", "tg3", "mlx4_en", "mlx5_core", "qede",
	"be2net", "enic", "cxgb4", "sfc", "vmxnet3", "virtio_net", "r8169", "atlantic",
	"ahci", "nvme", "megaraid_sas", "mpt3sas", "mptsas", "hpsa", "aacraid", "smartpqi", "vmw_pvscsi", "virtio_scsi",
	"virtio_blk", "qla2xxx", "lpfc", "isci", "3w_9xxx", "nfp",
}

// notPackaged is firmware of serverModules that Debian 12 does not have.
var notPackaged = []string{
	"netronome/nic_AMDA0058-0011_2x40.nffw", "netronome/nic_AMDA0058-0012_2x40.nffw", "netronome/nic_AMDA0099-0001_1x10_1x25.nffw",
}

func TestDebian(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	user, _ := os.UserCacheDir()
	set, err := Build(ctx, Recipe{Root: debianRoot(t, ctx), Agent: goProgram(t, testInit), Out: filepath.Join(t.TempDir(), "set"),
		Parts: filepath.Join(user, "ingot-test", "set")})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("names", func(t *testing.T) { testAllNames(t, set) })
	t.Run("sizes", func(t *testing.T) { testSizes(t, set) })
	t.Run("modules", func(t *testing.T) { testServerModules(t, set) })
	t.Run("boot", func(t *testing.T) { testBoot(t, ctx, set) })
	t.Run("media", func(t *testing.T) { testMedia(t, ctx, set) })
}

func testAllNames(t *testing.T, set *Set) {
	for _, name := range []string{ShimX64, GrubX64, MokX64, SNPOnly, IPXE, UndiOnly, ShimARM64, GrubARM64, Kernel, FirstStage, SecondStage} {
		if _, err := set.File(name); err != nil {
			t.Error(err)
		}
	}
	if err := set.Verify(); err != nil {
		t.Error(err)
	}
}

func testSizes(t *testing.T, set *Set) {
	size := func(name string) int64 {
		f, err := set.File(name)
		if err != nil {
			t.Fatal(err)
		}
		return f.SizeBytes
	}
	first, second := size(Kernel)+size(FirstStage), size(SecondStage)
	t.Logf("kernel and first stage %d bytes, second stage %d bytes", first, second)
	// The agent itself is larger than the test's: leave it 3 MB, compressed.
	if first > 22_000_000 {
		t.Errorf("kernel and first stage have %d bytes; want at most 22 MB without the agent", first)
	}
	if first+second > 80_000_000 {
		t.Errorf("both stages have %d bytes; want at most 80 MB", first+second)
	}
}

func testServerModules(t *testing.T, set *Set) {
	m := set.Manifest()
	for _, name := range serverModules {
		if !slices.Contains(m.FirstStageModules, name) && !slices.Contains(m.SecondStageModules, name) {
			t.Errorf("module %s is in no stage", name)
		}
	}
	for _, missing := range m.MissingFirmware {
		if slices.Contains(serverModules, missing.Module) && !slices.Contains(notPackaged, missing.Firmware) {
			t.Errorf("firmware %s of module %s is missing", missing.Firmware, missing.Module)
		}
	}
	packed := slices.Concat(unpack(t, set, FirstStage), unpack(t, set, SecondStage))
	for _, f := range []string{"bnx2x/bnx2x-e2-7.13.21.0.fw", "intel/ice/ddp/ice.pkg", "cxgb4/t6fw.bin", "qed/qed_init_values_zipped-8.59.1.0.bin", "ql2500_fw.bin"} {
		if !slices.Contains(packed, "lib/firmware/"+f) {
			t.Errorf("firmware %s is in no stage", f)
		}
	}
}

// testBoot boots the kernel with the first stage to the agent.
func testBoot(t *testing.T, ctx context.Context, set *Set) {
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("needs qemu-system-x86_64 (Debian package qemu-system-x86)")
	}
	path := func(name string) string {
		f, _, err := set.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		return f.Name()
	}
	c := qemu.Config{Name: "stage1", Dir: t.TempDir(), Firmware: qemu.FirmwareBIOS, Accelerator: qemu.AcceleratorTCG, MemoryMiB: 1024,
		Kernel: path(Kernel), Initrd: path(FirstStage), Append: "console=ttyS0 quiet"}
	began := time.Now()
	p, err := qemu.Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	if err := p.Wait(ctx); err != nil {
		t.Fatalf("wait for the agent to switch off: %v", err)
	}
	log, err := os.ReadFile(qemu.ConsoleLog(c.Dir))
	second, _ := set.File(SecondStage)
	if err != nil || !strings.Contains(string(log), "the first stage runs: {") || !strings.Contains(string(log), fmt.Sprintf(`"size_bytes":%d`, second.SizeBytes)) {
		t.Errorf("console: %q, %v", log, err)
	}
	t.Logf("from power-on to off again in %v", time.Since(began).Round(100*time.Millisecond))
}

// testMedia boots the media on each firmware to the agent, with both stages there.
func testMedia(t *testing.T, ctx context.Context, set *Set) {
	for _, p := range []string{"qemu-system-x86_64", "xorriso", "grub-mkimage", "mkfs.vfat", "mcopy"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s", p)
		}
	}
	m := Medium{Root: debianRoot(t, ctx), Out: filepath.Join(t.TempDir(), "agent.img"),
		KernelArgs: []string{"console=ttyS0", "quiet", "x.server=https://192.0.2.1:8443/?a=b&c=$d;e"}}
	if err := set.ISO(ctx, m); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		firmware qemu.Firmware
		cdrom    bool
	}{
		{"bios cd", qemu.FirmwareBIOS, true},
		{"bios usb", qemu.FirmwareBIOS, false},
		{"uefi cd", qemu.FirmwareUEFI, true},
		{"secure boot cd", qemu.FirmwareSecureBoot, true},
		{"secure boot usb", qemu.FirmwareSecureBoot, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := qemu.Config{Name: "medium", Dir: t.TempDir(), Firmware: tt.firmware, Accelerator: qemu.AcceleratorTCG, MemoryMiB: 1024, Boot: qemu.BootMedia}
			if tt.cdrom {
				c.CDROM = m.Out
			} else {
				c.USBDisk = m.Out
			}
			bootMedium(t, ctx, c, m.KernelArgs[2])
		})
	}
}

func bootMedium(t *testing.T, ctx context.Context, c qemu.Config, arg string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	began := time.Now()
	p, err := qemu.Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	waitErr := p.Wait(ctx)
	log, err := os.ReadFile(qemu.ConsoleLog(c.Dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"the first stage runs: {", "second stage there: true", arg} {
		if waitErr != nil || !strings.Contains(string(log), want) {
			t.Fatalf("wait: %v; console has no %q:\n%q", waitErr, want, log[max(0, len(log)-2000):])
		}
	}
	t.Logf("to the agent and off in %v", time.Since(began).Round(time.Second))
}
