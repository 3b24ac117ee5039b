package facts

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"

	"ingot/inventory"
)

// insideVariable marks the run of the test binary in its own network namespace.
const insideVariable = "INGOT_TEST_LLDP_INSIDE"

// TestListenOnVeth injects frames at one end of a veth pair and hears them at the other,
// in a network namespace of its own.
func TestListenOnVeth(t *testing.T) {
	if os.Getenv(insideVariable) != "" {
		listenOnVeth(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root for a network namespace")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestListenOnVeth$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "SKIP") || strings.Contains(string(out), "operation not permitted") && err != nil {
		t.Skipf("no network namespace or veth here:\n%s", out)
	}
	if err != nil {
		t.Fatalf("in the namespace: %v\n%s", err, out)
	}
}

func listenOnVeth(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n, err := listen(ctx, nil, func(name string) bool { return strings.HasPrefix(name, "port") })
	if err != nil {
		t.Fatal(err)
	}
	// The pair comes after the listener, as NICs do when their driver is loaded.
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "switch0"}, PeerName: "port0"}); err != nil {
		t.Skipf("no veth here: %v", err)
	}
	far, err := netlink.LinkByName("switch0")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(far); err != nil {
		t.Fatal(err)
	}
	want := &inventory.Neighbour{ChassisID: "00:1c:73:0a:0b:0c", PortID: "Ethernet7", PortDescription: "rack", SystemName: "leaf", Management: "192.0.2.1", VLAN: 42}
	heard := speak(ctx, t, switchFrame("leaf", "Ethernet7", "rack", 42, "\x00\x78"), n)
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Errorf("neighbour (-want +got):\n%s", diff)
	}
	if n.Get("switch0") != nil {
		t.Error("the other end has a neighbour")
	}
	// A cable that is pulled takes what it told with it.
	if err := netlink.LinkSetDown(far); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, n, func() bool { return n.Get("port0") == nil })
	cancel()
	n.Wait()
}

// speak sends the frame as a switch does, again and again, until the listener has heard
// it: it brings its end up by itself, so the first ones may be lost, and what it heard
// before the link's last change may be forgotten.
func speak(ctx context.Context, t *testing.T, frame []byte, n *Neighbours) *inventory.Neighbour {
	t.Helper()
	iface, err := net.InterfaceByName("switch0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := packet.Listen(iface, packet.Raw, etherTypeLLDP, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: net.HardwareAddr(frame[:6])}); err != nil && !strings.Contains(err.Error(), "network is down") {
			t.Fatal(err)
		}
		select {
		case <-n.Changed():
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("nothing was heard")
		}
		if heard := n.Get("port0"); heard != nil {
			return heard
		}
	}
}

func await(ctx context.Context, t *testing.T, n *Neighbours, done func() bool) {
	t.Helper()
	for !done() {
		select {
		case <-n.Changed():
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
}
