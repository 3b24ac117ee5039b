package guestrun

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/inventory"
)

// The programs of boot sectors, loaded at 0x7c00 with DL the disk.
var (
	// cli; hlt; jmp -3
	quiet = []byte{0xfa, 0xf4, 0xeb, 0xfd}
	// mov dx, 0x604; mov ax, 0x2000; out dx, ax: soft off by ACPI (PIIX4's PM1a_CNT).
	switchOff = []byte{0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xfa, 0xf4, 0xeb, 0xfd}
	// mov dx, 0x3f8; mov al, 'x'; L: out dx, al; jmp L
	flood = []byte{0xba, 0xf8, 0x03, 0xb0, 'x', 0xee, 0xeb, 0xfd}
)

// speaks is a program that says a text on the serial port, again and again: what it says
// before the console is connected is not heard. It lets no interrupt through: SeaBIOS puts
// its own last character on the port at a tick of the timer.
func speaks(text string) []byte {
	// cli; B: mov si, 0x7c1b; L: lodsb; test al, al; jz B; mov ah, al; mov dx, 0x3fd;
	// W: in al, dx; test al, 0x20; jz W; mov al, ah; mov dx, 0x3f8; out dx, al; jmp L
	program := []byte{0xfa, 0xbe, 0x1b, 0x7c, 0xac, 0x84, 0xc0, 0x74, 0xf8, 0x88, 0xc4, 0xba, 0xfd, 0x03,
		0xec, 0xa8, 0x20, 0x74, 0xfb, 0x88, 0xe0, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xe9}
	return append(program, text...)
}

// sector is a machine that runs a boot sector.
func sector(t *testing.T, program []byte) Machine {
	t.Helper()
	if testing.Short() {
		t.Skip("starts virtual machines: left out by -short")
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("needs qemu-system-x86_64 (Debian package qemu-system-x86)")
	}
	if _, err := exec.LookPath("qemu-img"); err != nil {
		t.Skip("needs qemu-img (Debian package qemu-utils)")
	}
	disk := make([]byte, 1<<20)
	copy(disk, program)
	disk[510], disk[511] = 0x55, 0xaa
	path := filepath.Join(t.TempDir(), "base.raw")
	if err := os.WriteFile(path, disk, 0o600); err != nil {
		t.Fatal(err)
	}
	return Machine{Name: "sector", Dir: t.TempDir(), Base: path, Format: "raw", MemoryMiB: 64, Accelerator: qemu.AcceleratorTCG, Stall: time.Minute, Limit: 2 * time.Minute}
}

// mustStart starts a machine and sees to its end, after which nothing may be left.
func mustStart(t *testing.T, ctx context.Context, m Machine) *Guest {
	t.Helper()
	g, err := Run(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if g.process.Running() {
			t.Error("QEMU runs after Close")
		}
		if left, err := os.ReadDir(m.Dir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	return g
}

// TestFailures checks what each kind of bad guest is called.
func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		name    string
		program []byte
		change  func(*Machine)
		act     func(*Guest)
		want    string
		guest   bool
	}{
		{"silent", quiet, func(m *Machine) { m.Stall = 3 * time.Second }, nil, "silent for 3s", true},
		{"too long", flood, func(m *Machine) { m.Limit, m.MaxConsoleBytes = 3*time.Second, 1<<40 }, nil, "took more than 3s", true},
		{"floods its console", flood, func(m *Machine) { m.MaxConsoleBytes = 1 << 16 }, nil, "flooded its console: more than 65536 bytes", true},
		{"switches itself off", switchOff, nil, nil, "switched itself off", true},
		{"panics", speaks("Kernel panic - not syncing: no init\r\n"), nil, nil, `stopped with "Kernel panic - not syncing: no init"`, true},
		{"finds its timer late", speaks("Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug\r\n"), nil, nil, ErrLate.Error(), false},
		{"is killed", quiet, nil, func(g *Guest) { syscall.Kill(g.process.PID(), syscall.SIGKILL) }, "signal: killed", false},
		{"has nothing to boot", nil, func(m *Machine) { m.Base, m.SizeBytes = "", 1<<20 }, nil, `stopped with "No bootable device"`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := sector(t, tt.program)
			if tt.change != nil {
				tt.change(&m)
			}
			g := mustStart(t, t.Context(), m)
			if tt.act != nil {
				tt.act(g)
			}
			err := g.Ready(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.As(err, new(*GuestError)) != tt.guest {
				t.Errorf("Ready = %v; want %q, the guest's failure: %v", err, tt.want, tt.guest)
			}
			if _, err := g.Do(t.Context(), Command{Name: "x", Script: "true"}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Do = %v; want %q", err, tt.want)
			}
			said, err := os.ReadFile(g.Console())
			if err != nil || len(said) > 2<<20 && m.MaxConsoleBytes == 1<<16 {
				t.Errorf("console log of %d bytes, %v", len(said), err)
			}
			if t.Failed() {
				t.Logf("console: %q", said[max(0, len(said)-2000):])
			}
		})
	}
}

func TestEndsWithContext(t *testing.T) {
	m := sector(t, quiet)
	ctx, cancel := context.WithCancel(t.Context())
	g := mustStart(t, ctx, m)
	wait := make(chan error, 2)
	go func() { wait <- g.Ready(t.Context()) }()
	go func() {
		_, err := g.WaitConsole(t.Context(), regexp.MustCompile("never"))
		wait <- err
	}()
	cancel()
	for range 2 {
		if err := <-wait; !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want cancelled", err)
		}
	}
	if err := g.process.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestShutdown checks that a guest which does not obey is killed, and that this is said.
func TestShutdown(t *testing.T) {
	g := mustStart(t, t.Context(), sector(t, quiet))
	if _, err := g.WaitConsole(t.Context(), regexp.MustCompile(`Booting from Hard Disk`)); err != nil {
		t.Fatal(err)
	}
	shot := filepath.Join(t.TempDir(), "screen.png")
	if err := g.Screenshot(t.Context(), shot); err != nil {
		t.Error(err)
	}
	if err := g.Shutdown(t.Context(), time.Second); !errors.Is(err, ErrKilled) {
		t.Errorf("Shutdown = %v, want ErrKilled", err)
	}
}

// TestOverlay checks that what is written can be read, and that the base stays.
func TestOverlay(t *testing.T) {
	m := sector(t, quiet)
	base, err := os.ReadFile(m.Base)
	if err != nil {
		t.Fatal(err)
	}
	o, err := NewOverlay(t.Context(), filepath.Join(t.TempDir(), "o.qcow2"), m.Base, "raw", 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	data := []byte(strings.Repeat("ingot...", 128))
	for _, at := range []int64{512, 1<<20 - 512, 4<<20 - 1024} {
		got := make([]byte, len(data))
		if _, err := o.WriteAt(data, at); err != nil {
			t.Fatal(err)
		}
		if _, err := o.ReadAt(got, at); err != nil || string(got) != string(data) {
			t.Errorf("read at %d: %v, %.20q", at, err, got)
		}
	}
	boot := make([]byte, 512)
	if _, err := o.ReadAt(boot, 0); err != nil || string(boot) != string(base[:512]) {
		t.Errorf("the base does not show: %v", err)
	}
	if _, err := o.WriteAt(data[:100], 0); err == nil {
		t.Error("a part of a sector was written")
	}
	if after, err := os.ReadFile(m.Base); err != nil || string(after) != string(base) {
		t.Errorf("the base was changed: %v", err)
	}
}

// TestHostileBase checks that a base which names other files is refused.
func TestHostileBase(t *testing.T) {
	m := sector(t, quiet)
	evil := filepath.Join(t.TempDir(), "evil.qcow2")
	if out, err := exec.Command("qemu-img", "create", "-f", "qcow2", "-u", "-F", "raw", "-b", "/etc/shadow", evil, "1M").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, change := range map[string]func(*Machine){
		"backing file":   func(m *Machine) { m.Base, m.Format = evil, "qcow2" },
		"format":         func(m *Machine) { m.Format = "vmdk" },
		"no format":      func(m *Machine) { m.Format = "" },
		"smaller":        func(m *Machine) { m.SizeBytes = 512 },
		"no whole bytes": func(m *Machine) { m.SizeBytes = 2<<20 + 1 },
	} {
		m := m
		change(&m)
		if _, err := Run(t.Context(), m); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if left, err := os.ReadDir(m.Dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestSweep checks that only what nobody uses is removed.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	used, err := newScratch(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer used.remove()
	dead := filepath.Join(dir, scratchPrefix+"dead")
	if err := errors.Join(os.MkdirAll(filepath.Join(dead, "machine"), 0o700), os.MkdirAll(filepath.Join(dir, "other"), 0o700), Sweep(dir)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{used.dir: true, dead: false, filepath.Join(dir, "other"): true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v, want it to be there: %v", path, err, want)
		}
	}
}
