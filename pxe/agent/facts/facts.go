package facts

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ingot/inventory"
)

// Options of Collect. The zero value reads the running machine.
type Options struct {
	// Root is the directory that holds sys, proc and dev; "/" when empty.
	Root         string
	BootMAC      inventory.MAC
	AgentVersion string
	// Neighbours are what a listener heard by now; nil for none.
	Neighbours *Neighbours
	// Log tells how long the slow readers took; nil means discard.
	Log *slog.Logger
}

// reading is one run of Collect.
type reading struct {
	tree
	opts   Options
	log    *slog.Logger
	smbios smbios

	mu     sync.Mutex
	unread []string
}

// note adds a sentence to what could not be read.
func (r *reading) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unread = append(r.unread, fmt.Sprintf(format, args...))
}

func (r *reading) notes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(slices.Values(r.unread))
}

// Collect reads everything. Readers run at the same time; each fills its own part of the
// facts. The error is ErrInvalid for a Root that is no machine's tree, or ctx's: what a
// single reader misses is a sentence in Unread. Version and At are left to the server.
func Collect(ctx context.Context, o Options) (*inventory.Facts, error) {
	r := &reading{tree: newTree(o.Root), opts: o, log: o.Log}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if !r.exists("sys") || !r.exists("proc") {
		return nil, inventory.Invalid("root %q (want a directory with sys and proc)", r.root)
	}
	r.smbios = r.readSMBIOS()
	f := &inventory.Facts{}
	r.identity(f)
	f.Firmware = r.firmware()
	f.Agent = r.agent()
	var wg sync.WaitGroup
	r.part(&wg, "tpm", func() { f.TPM = r.tpm(ctx) })
	r.part(&wg, "cpu", func() { f.CPUs = r.cpus() })
	r.part(&wg, "memory", func() { f.Memory = r.memory() })
	r.part(&wg, "disks", func() { f.Disks = r.disks(ctx) })
	r.part(&wg, "nics", func() { f.NICs = r.nics(ctx) })
	r.part(&wg, "pci", func() { f.PCI, f.GPUs = r.pci() })
	r.part(&wg, "bmc", func() { f.BMC = r.bmc(ctx) })
	wg.Wait()
	f.Unread = r.notes()
	return f, ctx.Err()
}

// slowReader is a time worth a line in the log.
const slowReader = 500 * time.Millisecond

func (r *reading) part(wg *sync.WaitGroup, name string, read func()) {
	wg.Go(func() {
		start := time.Now()
		read()
		if took := time.Since(start); took > slowReader {
			r.log.Info("slow facts", "reader", name, "took", took.Round(time.Millisecond))
		}
	})
}

// agent describes the environment that reads.
func (r *reading) agent() inventory.AgentFacts {
	return inventory.AgentFacts{Version: r.opts.AgentVersion, Kernel: r.text("proc/sys/kernel/osrelease"), BootMAC: r.opts.BootMAC}
}

// architecture as the kernel names it ("x86_64", "aarch64"). /proc/sys/kernel/arch is
// there since Linux 6.1.
func (r *reading) architecture() string {
	if arch := r.text("proc/sys/kernel/arch"); arch != "" || !r.live() {
		return arch
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Machine[:])
}
