package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// probeDeadline is how long the probe's guest gets: it needs about 6 s under
// emulation, of which 2 s are the boot loader's prompt.
const probeDeadline = 12 * time.Second

// probeByte is what the probe's boot program writes to QEMU's debug-exit device,
// which ends QEMU with the status (value << 1) | 1.
const (
	probeByte   = 0x2a
	probeStatus = probeByte<<1 | 1
)

// probeProgram is a PXE boot program: mov al, probeByte; out 0xf4, al; hlt; jmp -3.
func probeProgram() []byte {
	p := make([]byte, 512)
	copy(p, []byte{0xb0, probeByte, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd})
	return p
}

var kvm struct {
	sync.Mutex
	known  bool
	ok     bool
	reason string
}

// ProbeKVM reports whether a guest really runs under KVM, and why not. It runs
// one, from the firmware through a network boot with the card's iPXE ROM to a
// program of our own: a /dev/kvm that opens proves nothing, and neither does a
// boot sector, since there are hosts where only iPXE hangs. The answer
// is kept for the life of this program; one that ctx cut short is not.
func ProbeKVM(ctx context.Context) (ok bool, reason string) {
	kvm.Lock()
	ok, reason, known := kvm.ok, kvm.reason, kvm.known
	kvm.Unlock()
	if known {
		return ok, reason
	}
	err := probe(ctx, AcceleratorKVM, probeDeadline)
	if err != nil {
		reason = err.Error()
	} else {
		reason = "a guest ran under KVM"
	}
	if ctx.Err() == nil {
		kvm.Lock()
		kvm.known, kvm.ok, kvm.reason = true, err == nil, reason
		kvm.Unlock()
	}
	return err == nil, reason
}

// probe runs the boot program with the accelerator.
func probe(ctx context.Context, accel Accelerator, within time.Duration) error {
	if accel == AcceleratorKVM {
		f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("no KVM: %w", err)
		}
		f.Close()
	}
	bin, err := program("qemu-system-x86_64", "qemu-system-x86")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ingot-kvm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "probe"), probeProgram(), 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, within,
		fmt.Errorf("the guest did not reach its boot program within %v under %s", within, accel))
	defer cancel()
	out, err := exec.CommandContext(ctx, bin, "-no-user-config", "-nodefaults", "-display", "none", "-vga", "std",
		"-machine", "pc", "-accel", string(accel), "-m", "128",
		"-netdev", "user,id=n,restrict=on,bootfile=probe,tftp="+escape(dir),
		"-device", "virtio-net-pci,netdev=n,bootindex=0",
		"-device", "isa-debug-exit,iobase=0xf4,iosize=1").CombinedOutput()
	return probeResult(ctx, err, out)
}

func probeResult(ctx context.Context, err error, out []byte) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == probeStatus {
		return nil
	}
	if err == nil {
		err = errors.New("it ended with status 0")
	}
	return fmt.Errorf("the guest did not reach its boot program: %w: %s", err, lastLines(string(out)))
}
