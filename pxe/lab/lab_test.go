package lab

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ingot/hypervisor/qemu"
)

// needRack skips a test that needs root, namespaces and QEMU.
func needRack(t testing.TB, programs ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	for _, p := range append([]string{"ip", "qemu-system-x86_64"}, programs...) {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s: %v", p, err)
		}
	}
}

// bootNetwork is a network with the server's address on it.
func bootNetwork() Network {
	return Network{Name: "boot", Address: netip.MustParsePrefix("192.0.2.1/24")}
}

func mustUp(t testing.TB, s Spec) *Lab {
	t.Helper()
	s.Name = "t" + strconv.Itoa(os.Getpid()) + strings.ToLower(derivedSerial(t.Name(), 0)[3:9])
	s.Accelerator, s.Attached = qemu.AcceleratorTCG, true
	dir := filepath.Join(t.TempDir(), "rack")
	l, err := Up(t.Context(), dir, s)
	if err != nil {
		t.Fatalf("Up: %v", err)
	}
	t.Cleanup(func() {
		if err := l.Down(context.Background(), false); err != nil {
			t.Errorf("Down: %v", err)
		}
		checkNothingLeft(t, l)
	})
	return l
}

// checkNothingLeft asserts what Down promises.
func checkNothingLeft(t testing.TB, l *Lab) {
	t.Helper()
	present, err := namespaces(context.Background())
	if err != nil {
		t.Error(err)
	}
	for _, ns := range l.spec.namespaces() {
		if slices.Contains(present, ns) {
			t.Errorf("namespace %s is left", ns)
		}
	}
	if _, err := os.Stat(l.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory is left: %v", err)
	}
	pids, err := processes()
	if err != nil {
		t.Error(err)
	}
	for _, pid := range pids {
		if cwd, _ := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd")); strings.HasPrefix(cwd, l.dir) {
			t.Errorf("process %d is left", pid)
		}
	}
}

// TestRack follows a rack from another program's point of view: every step opens
// the directory anew.
func TestRack(t *testing.T) {
	needRack(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	l := mustUp(t, Spec{
		Networks: []Network{bootNetwork(), {Name: "other"},
			{Name: "far", Address: netip.MustParsePrefix("198.51.100.1/24"), Router: &Router{Uplink: "boot", Address: netip.MustParseAddr("192.0.2.254")}}},
		Machines: []Machine{
			{Name: "near", MemoryMiB: 64, TPM: true, NICs: []NIC{{Network: "other"}, {Network: "boot"}}, Disks: []Disk{{Bus: qemu.BusNVMe, SectorBytes: 4096}}},
			{Name: "away", MemoryMiB: 64, NICs: []NIC{{Network: "far"}}},
		},
	})
	reopen := func() *Lab {
		again, err := Open(l.Dir())
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
	states := func() string {
		list, err := reopen().List()
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, s := range list {
			b.WriteString(s.Machine.Name + map[bool]string{true: " on ", false: " off "}[s.On])
		}
		return strings.TrimSpace(b.String())
	}
	steps := []struct {
		machine string
		action  Action
		want    string
	}{
		{"near", On, "near on away off"},
		{"near", On, "near on away off"},
		{"away", Cycle, "near on away on"},
		{"near", Reset, "near on away on"},
		{"near", Off, "near off away on"},
		{"near", Off, "near off away on"},
		{"near", On, "near on away on"},
	}
	for _, s := range steps {
		if err := reopen().Power(ctx, s.machine, s.action); err != nil {
			t.Fatalf("Power(%s, %s): %v", s.machine, s.action, err)
		}
		if got := states(); got != s.want {
			t.Errorf("after %s of %s: %s; want %s", s.action, s.machine, got, s.want)
		}
	}
	if err := l.Power(ctx, "near", "explode"); err == nil || !strings.Contains(err.Error(), "use one of") {
		t.Errorf("Power(explode) = %v", err)
	}
	if err := l.Power(ctx, "nobody", On); err == nil || !strings.Contains(err.Error(), "near, away") {
		t.Errorf("Power of an unknown machine = %v", err)
	}
	ns, err := l.NamespaceOf("far")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := l.Command(ctx, "sh", "-c", "ip route get 198.51.100.1 | grep -q 'via 192.0.2.254'").CombinedOutput(); err != nil {
		t.Errorf("no route from the server to the far network: %v %s", err, out)
	}
	if out, err := Command(ctx, ns, "sh", "-c", "ip route get 192.0.2.1 | grep -q 'dev uplink'").CombinedOutput(); err != nil {
		t.Errorf("no route back: %v %s", err, out)
	}
	if _, err := Up(ctx, l.Dir(), Spec{}); err == nil || !strings.Contains(err.Error(), "stands") {
		t.Errorf("second Up = %v; want an error", err)
	}
	if err := l.Add(ctx, Machine{Name: "late", MemoryMiB: 64, NICs: []NIC{{Network: "boot"}}}); err != nil {
		t.Fatalf("Add: %v", err)
	}
	if err := reopen().Power(ctx, "late", On); err != nil {
		t.Errorf("Power on of a machine racked later: %v", err)
	}
	if err := Down(ctx, l.Dir(), false); err != nil {
		t.Errorf("Down: %v", err)
	}
	checkNothingLeft(t, l)
	if err := Down(ctx, l.Dir(), false); err != nil {
		t.Errorf("Down again: %v", err)
	}
}

// TestUpTakesBack asserts that a failed Up leaves nothing: the second machine's
// disk cannot be made.
func TestUpTakesBack(t *testing.T) {
	needRack(t)
	dir := filepath.Join(t.TempDir(), "rack")
	s := Spec{Name: "takeback", Accelerator: qemu.AcceleratorTCG, Networks: []Network{bootNetwork()},
		Machines: []Machine{{Name: "a", NICs: []NIC{{Network: "boot"}}}, {Name: "b", Disks: []Disk{{SizeBytes: 1 << 62}}}}}
	if _, err := Up(t.Context(), dir, s); err == nil || !strings.Contains(err.Error(), `machine "b"`) {
		t.Fatalf("Up = %v; want an error that names machine b", err)
	}
	checkNothingLeft(t, &Lab{dir: dir, spec: s.withDefaults()})
}

// TestDownEndsOrphans asserts that a machine is found whose process was never recorded.
func TestDownEndsOrphans(t *testing.T) {
	needRack(t)
	l := mustUp(t, Spec{Networks: []Network{bootNetwork()}, Machines: []Machine{{Name: "m", MemoryMiB: 64, NICs: []NIC{{Network: "boot"}}}}})
	if err := l.Power(t.Context(), "m", On); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(l.machineDir("m"), "process.json")); err != nil {
		t.Fatal(err)
	}
}

// TestDownNamesForeignProcesses asserts that another's program is named, not ended.
func TestDownNamesForeignProcesses(t *testing.T) {
	needRack(t)
	l := mustUp(t, Spec{Networks: []Network{bootNetwork()}})
	cmd := l.Command(t.Context(), "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The echo says that it is in the namespace by now.
	in.Write([]byte("x"))
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err, errOut.String())
	}
	if err := l.Down(t.Context(), false); err == nil || !strings.Contains(err.Error(), "cat (pid "+strconv.Itoa(cmd.Process.Pid)+")") {
		t.Errorf("Down = %v; want it to name the process", err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the foreign process was ended: %v", err)
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name string
		spec Spec
		want string
	}{
		{"good", Spec{Networks: []Network{bootNetwork()}, Machines: []Machine{{Name: "m", NICs: []NIC{{Network: "boot"}}}}}, ""},
		{"rack name", Spec{Name: "No/Such"}, `rack name "No/Such"`},
		{"network name", Spec{Networks: []Network{{Name: "much-too-long-a-name"}}}, "network name"},
		{"network twice", Spec{Networks: []Network{bootNetwork(), bootNetwork()}}, "each name once"},
		{"subnet address", Spec{Networks: []Network{{Name: "n", Address: netip.MustParsePrefix("192.0.2.0/24")}}}, "want a host address"},
		{"machine twice", Spec{Machines: []Machine{{Name: "m"}, {Name: "m"}}}, "each name once"},
		{"no network", Spec{Machines: []Machine{{Name: "m", NICs: []NIC{{Network: "x"}}}}}, `no network "x"`},
		{"mac", Spec{Networks: []Network{bootNetwork()}, Machines: []Machine{{Name: "m", NICs: []NIC{{Network: "boot", MAC: "zz"}}}}}, "zz"},
		{"mac twice", Spec{Networks: []Network{bootNetwork()}, Machines: []Machine{
			{Name: "m", NICs: []NIC{{Network: "boot", MAC: "52:54:00:00:00:01"}}}, {Name: "n", NICs: []NIC{{Network: "boot", MAC: "52-54-00-00-00-01"}}}}}, `belongs to machine "m"`},
		{"disk size", Spec{Machines: []Machine{{Name: "m", Disks: []Disk{{SizeBytes: 1000}}}}}, "not a multiple"},
		{"router without uplink", Spec{Networks: []Network{{Name: "n", Address: netip.MustParsePrefix("192.0.2.1/24"), Router: &Router{Uplink: "x"}}}}, `uplink "x"`},
		{"router off its uplink", Spec{Networks: []Network{bootNetwork(), {Name: "n", Address: netip.MustParsePrefix("198.51.100.1/24"),
			Router: &Router{Uplink: "boot", Address: netip.MustParseAddr("203.0.113.1")}}}}, "router address 203.0.113.1"},
		{"both sides of a router", Spec{Networks: []Network{bootNetwork(), {Name: "n", Address: netip.MustParsePrefix("198.51.100.1/24"),
			Router: &Router{Uplink: "boot", Address: netip.MustParseAddr("192.0.2.2")}}},
			Machines: []Machine{{Name: "m", NICs: []NIC{{Network: "boot"}, {Network: "n"}}}}}, "both sides"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.spec.withDefaults().validate()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("validate = %v; want %q", err, tt.want)
			}
		})
	}
}

func TestOpenNothing(t *testing.T) {
	if _, err := Open(t.TempDir()); !errors.Is(err, ErrNoLab) {
		t.Errorf("Open = %v; want ErrNoLab", err)
	}
}

// TestDerivedNumbersDiffer: machines of one rack, and of two racks on one wire.
func TestDerivedNumbersDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, rack := range []string{"a", "b"} {
		for _, m := range []string{"m1", "m2"} {
			for _, v := range []string{derivedMAC(rack, m, 0), derivedMAC(rack, m, 1), derivedUUID(rack, m)} {
				if seen[v] {
					t.Errorf("%s twice", v)
				}
				seen[v] = true
			}
		}
	}
}

// transcript collects what a process says and wakes who waits for a line.
type transcript struct {
	mu     sync.Mutex
	text   bytes.Buffer
	wanted string
	found  chan struct{}
}

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if l.found != nil && strings.Contains(l.text.String(), l.wanted) {
		close(l.found)
		l.found = nil
	}
	return len(p), nil
}

// expect waits until text was said.
func (l *transcript) expect(t testing.TB, ctx context.Context, text string) {
	t.Helper()
	l.mu.Lock()
	if strings.Contains(l.text.String(), text) {
		l.mu.Unlock()
		return
	}
	found := make(chan struct{})
	l.wanted, l.found = text, found
	l.mu.Unlock()
	select {
	case <-found:
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		t.Fatalf("%v before it said %q:\n%s", context.Cause(ctx), text, l.text.String())
	}
}
