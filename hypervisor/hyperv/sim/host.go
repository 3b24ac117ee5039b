package sim

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"ingot/hypervisor/hyperv"
)

// Options of a host; the zero value is a Windows Server 2022 with 8 CPUs, 64 GiB of memory
// and the switch "Internal".
type Options struct {
	// Client is a Windows for desktops: automatic checkpoints are on for new machines.
	Client bool
	// Old is Windows Server 2016, whose Set-VM knows no automatic checkpoints.
	Old bool
	// MemoryBytes that machines can have.
	MemoryBytes int64
	// Switches there are; nil is "Internal".
	Switches []string
	// Looks is how many scripts run before a guest is off or disks are merged; 0 is 2.
	Looks int
}

// Host is a simulated host. It is a powershell.Runner.
type Host struct {
	options Options
	scripts map[[sha256.Size]byte]string
	faults  breaker

	mu        sync.Mutex
	files     map[string]*file
	folders   map[string]string
	machines  []*machine
	neighbors map[string][]string
	locks     map[string]bool
	squeezed  bool
	readOnly  bool
	denied    bool
	noModule  bool
	walled    bool
	drawn     int
	clock     time.Time
	calls     []Call
	// ran is closed and made anew when a script starts.
	ran chan struct{}
	// cmdlets that changed something, each after its script's name.
	cmdlets map[string]bool
}

// Call is a script that ran.
type Call struct{ Script, Request string }

const (
	// VHDFolder is the host's own folder for virtual disks.
	VHDFolder = `C:\Users\Public\Documents\Hyper-V\Virtual Hard Disks`
	// hostCPUs are the host's logical processors.
	hostCPUs = 8
)

// New makes a host.
func New(o Options) *Host {
	o.MemoryBytes, o.Looks = cmp.Or(o.MemoryBytes, 64<<30), cmp.Or(o.Looks, 2)
	if o.Switches == nil {
		o.Switches = []string{"Internal"}
	}
	h := &Host{options: o, scripts: map[[sha256.Size]byte]string{}, files: map[string]*file{}, folders: map[string]string{}, neighbors: map[string][]string{}, locks: map[string]bool{},
		clock: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), ran: make(chan struct{}), cmdlets: map[string]bool{}}
	for _, s := range hyperv.Scripts() {
		h.scripts[sha256.Sum256([]byte(s.Text))] = s.Name
	}
	h.mkdir(VHDFolder)
	return h
}

// guid draws an id.
func (h *Host) guid() string {
	h.drawn++
	sum := sha256.Sum256([]byte{byte(h.drawn), byte(h.drawn >> 8)})
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// tick is the time of the next thing that has one.
func (h *Host) tick() time.Time {
	h.clock = h.clock.Add(time.Second)
	return h.clock
}

// Calls are the scripts that ran since the start or the last Forget.
func (h *Host) Calls() []Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.calls)
}

// Await waits until a script ran n times since the last Forget.
func (h *Host) Await(ctx context.Context, script string, n int) error {
	for {
		h.mu.Lock()
		times, ran := 0, h.ran
		for _, c := range h.calls {
			if c.Script == script {
				times++
			}
		}
		h.mu.Unlock()
		if times >= n {
			return nil
		}
		select {
		case <-ran:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Cmdlets are the changing ones that were done since the start, each as "script cmdlet".
func (h *Host) Cmdlets() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.cmdlets))
}

// Forget drops the calls so far.
func (h *Host) Forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = nil
}

// Left names everything that is there: machines, files, and folders below "ingot", but for
// those that all share.
func (h *Host) Left() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var left []string
	for _, m := range h.machines {
		left = append(left, "machine "+m.name+" "+m.id)
	}
	for _, f := range h.files {
		left = append(left, "file "+f.path)
	}
	for _, path := range h.folders {
		if _, rest, ok := strings.Cut(path, `\ingot\`); ok && strings.Contains(rest, `\`) {
			left = append(left, "folder "+path)
		}
	}
	slices.Sort(left)
	return left
}

// Deny takes the login's rights at Hyper-V away, or gives them back.
func (h *Host) Deny(denied bool) { h.set(func() { h.denied = denied }) }

// Uninstall takes the Hyper-V module away.
func (h *Host) Uninstall() { h.set(func() { h.noModule = true }) }

// Wall keeps the host from connecting to anybody, as a firewall does, or lets it.
func (h *Host) Wall(walled bool) { h.set(func() { h.walled = walled }) }

// Squeeze makes the file system compress what is written from now on.
func (h *Host) Squeeze() { h.set(func() { h.squeezed = true }) }

// Lock makes the file system read-only.
func (h *Host) Lock() { h.set(func() { h.readOnly = true }) }

// SetSwitches changes the virtual switches.
func (h *Host) SetSwitches(names ...string) { h.set(func() { h.options.Switches = names }) }

func (h *Host) set(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}
