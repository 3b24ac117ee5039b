package qemu

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// needQEMU skips a test that needs the real program.
func needQEMU(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("needs qemu-system-x86_64 (Debian package qemu-system-x86)")
	}
}

// machine is a BIOS machine with nothing to boot.
func machine(t testing.TB) Config {
	t.Helper()
	return Config{Name: "m1", Dir: t.TempDir(), Firmware: FirmwareBIOS, Accelerator: AcceleratorTCG, MemoryMiB: 64}
}

// sectorDisk is a disk whose boot sector writes text to the serial port for ever.
func sectorDisk(t testing.TB, text string) Disk {
	t.Helper()
	s := make([]byte, 1<<20)
	// S: cld; mov si, text; mov dx, 0x3f8; L: lodsb; test al, al; jz E; out dx, al; jmp L
	// E: xor cx, cx; W: loop W; jmp S
	copy(s, []byte{0xfc, 0xbe, 0x20, 0x7c, 0xba, 0xf8, 0x03, 0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8, 0x31, 0xc9, 0xe2, 0xfe, 0xeb, 0xeb})
	copy(s[0x20:], text)
	s[510], s[511] = 0x55, 0xaa
	path := filepath.Join(t.TempDir(), "disk, with a comma.raw")
	if err := os.WriteFile(path, s, 0o600); err != nil {
		t.Fatal(err)
	}
	return Disk{Path: path, Format: "raw", Bus: BusVirtio}
}

func mustStart(t testing.TB, ctx context.Context, c Config) *Process {
	t.Helper()
	p, err := Start(ctx, c)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := p.PowerOff(ctx); err != nil {
			t.Errorf("PowerOff: %v", err)
		}
	})
	return p
}

// hear reads the console until text was heard, and returns all that was.
func hear(t testing.TB, conn net.Conn, text string) string {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(60 * time.Second))
	var heard strings.Builder
	buf := make([]byte, 512)
	for !strings.Contains(heard.String(), text) {
		n, err := conn.Read(buf)
		heard.Write(buf[:n])
		if err != nil {
			t.Fatalf("console: %v after %q; want %q", err, heard.String(), text)
		}
	}
	return heard.String()
}

func TestProcess(t *testing.T) {
	needQEMU(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := machine(t)
	c.Dir = filepath.Join(c.Dir, strings.Repeat("a-long-folder-name/", 8)+"m1")
	c.Detach = true
	c.Disks = []Disk{sectorDisk(t, "sector speaking\r\n")}
	mustStart(t, ctx, c)

	p, err := Attach(c.Dir)
	if err != nil {
		t.Fatalf("Attach: %v", err)
	}
	if got, err := p.Status(ctx); got != "running" || err != nil {
		t.Errorf("Status = %q, %v; want running", got, err)
	}
	if _, err := Start(ctx, c); err == nil || !strings.Contains(err.Error(), "runs already") {
		t.Errorf("second Start = %v; want an error", err)
	}
	console, err := p.Console(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()
	// SeaBIOS hangs when it is reset in its first milliseconds, so not before this.
	hear(t, console, "sector speaking\r\n")
	if err := p.Reset(ctx); err != nil {
		t.Errorf("Reset: %v", err)
	}
	hear(t, console, "SeaBIOS")
	hear(t, console, "sector speaking\r\n")
	if b, err := os.ReadFile(ConsoleLog(c.Dir)); err != nil || !strings.Contains(string(b), "sector speaking") {
		t.Errorf("console log = %q, %v", b, err)
	}
	shot := filepath.Join(t.TempDir(), "screen.png")
	if err := p.Screendump(ctx, shot); err != nil {
		t.Errorf("Screendump: %v", err)
	} else if b, _ := os.ReadFile(shot); !strings.HasPrefix(string(b), "\x89PNG") {
		t.Errorf("screendump is no PNG: %d bytes", len(b))
	}

	short, cancelShort := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancelShort()
	if err := p.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait of a running machine = %v; want deadline exceeded", err)
	}
	if err := p.PowerOff(ctx); err != nil {
		t.Errorf("PowerOff: %v", err)
	}
	if p.Running() {
		t.Error("it runs after PowerOff")
	}
	if _, err := io.Copy(io.Discard, console); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the console did not end with the machine")
	}
	if _, err := Attach(c.Dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Attach to a machine that is off = %v; want ErrNotRunning", err)
	}
}

// TestPaused hears the console from its first byte on.
func TestPaused(t *testing.T) {
	needQEMU(t)
	c := machine(t)
	c.Paused = true
	c.Disks = []Disk{sectorDisk(t, "sector speaking\r\n")}
	p := mustStart(t, t.Context(), c)
	if got, err := p.Status(t.Context()); got != "prelaunch" || err != nil {
		t.Errorf("Status = %q, %v; want prelaunch", got, err)
	}
	console, err := p.Console(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()
	if err := p.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	heard := hear(t, console, "sector speaking\r\n")
	log, err := os.ReadFile(ConsoleLog(c.Dir))
	if n := min(len(log), len(heard)); err != nil || n < 10 || string(log[:n]) != heard[:n] {
		t.Errorf("heard %q; the machine said %.200q, %v", heard, log, err)
	}
}

func TestProcessEndsWithContext(t *testing.T) {
	needQEMU(t)
	ctx, cancel := context.WithCancel(t.Context())
	p := mustStart(t, ctx, machine(t))
	cancel()
	wait, done := context.WithTimeout(t.Context(), 20*time.Second)
	defer done()
	if err := p.Wait(wait); err != nil {
		t.Errorf("Wait = %v; want the machine to end with its context", err)
	}
}

func TestStartSaysWhatQEMUSaid(t *testing.T) {
	needQEMU(t)
	c := machine(t)
	c.ExtraArgs = []string{"-device", "no-such-device"}
	_, err := Start(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "no-such-device") {
		t.Errorf("Start = %v; want QEMU's words", err)
	}
	if _, err := Attach(c.Dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Attach = %v; want ErrNotRunning", err)
	}
}

func TestProbe(t *testing.T) {
	needQEMU(t)
	if testing.Short() {
		t.Skip("waits for a guest that may hang under KVM")
	}
	if err := probe(t.Context(), AcceleratorTCG, time.Minute); err != nil {
		t.Errorf("the probe's guest under emulation: %v", err)
	}
	ok, reason := ProbeKVM(t.Context())
	t.Logf("KVM: %v, %s", ok, reason)
	if reason == "" {
		t.Error("no reason")
	}
	began := time.Now()
	if again, why := ProbeKVM(t.Context()); again != ok || why != reason || time.Since(began) > time.Second {
		t.Errorf("second answer %v, %q after %v", again, why, time.Since(began))
	}
}

func TestChannelAndExit(t *testing.T) {
	needQEMU(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := machine(t)
	c.Channel = "org.example.port.0"
	c.NICs = []NIC{{MAC: mustMAC(t, "52:54:00:00:00:01"), Model: NICVirtio, Restrict: true}}
	p := mustStart(t, ctx, c)
	conn, err := p.Channel(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := p.ExitError(); !errors.Is(err, ErrRunning) {
		t.Errorf("ExitError of a running machine = %v", err)
	}
	if err := p.PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := p.ExitError(); !errors.As(err, &exit) || exit.Exited() {
		t.Errorf("ExitError after SIGKILL = %v", err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the channel did not end with the machine: %v", err)
	}
}
