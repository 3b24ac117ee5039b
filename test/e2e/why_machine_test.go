package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/pxe/agentapi"
)

// bench is where machines stand that a test plays itself: a namespace with one cable to
// the rack's bridge. A fault is cheaper to play than to provoke in a guest.
type bench struct {
	r         *rack
	namespace string
	made      atomic.Int64
}

// server is Ingot's address in the rack.
const server = "10.66.0.1"

func (r *rack) newBench() *bench {
	r.t.Helper()
	b := &bench{r: r, namespace: r.lab.Namespace() + "-bench"}
	r.addHost(b.namespace, "bench0", "10.66.0.20/24")
	return b
}

// addHost makes a namespace with a cable to the rack's bridge.
func (r *rack) addHost(namespace, port, address string) {
	r.t.Helper()
	run := func(args ...string) {
		r.t.Helper()
		if out, err := exec.CommandContext(r.t.Context(), "ip", args...).CombinedOutput(); err != nil {
			r.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("netns", "add", namespace)
	r.t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", namespace).CombinedOutput(); err != nil {
			r.t.Errorf("remove namespace: %v\n%s", err, out)
		}
	})
	run("-n", r.lab.Namespace(), "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace)
	run("-n", r.lab.Namespace(), "link", "set", port, "master", serverNetwork, "up")
	run("-n", namespace, "link", "set", "lo", "up")
	run("-n", namespace, "addr", "add", address, "dev", "eth0")
	run("-n", namespace, "link", "set", "eth0", "up")
}

// inside runs f in a network namespace; sockets that it opens stay there.
func inside(namespace string, f func() error) error {
	done := make(chan error, 1)
	go func() { // the thread that changed its namespace ends with the goroutine
		runtime.LockOSThread()
		ns, err := netns.GetFromName(namespace)
		if err != nil {
			done <- err
			return
		}
		defer ns.Close()
		if err := netns.Set(ns); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// played is a machine that a test plays: a MAC, an address for what is not DHCP, and the
// agent's client.
type played struct {
	b     *bench
	t     *testing.T
	mac   inventory.MAC
	ip    netip.Addr
	uuid  string
	agent *agentapi.Client
	// id is the inventory's, once an agent said hello.
	id string
}

// machine racks one more.
func (b *bench) machine() *played {
	b.r.t.Helper()
	n := b.made.Add(1)
	m := &played{b: b, t: b.r.t, mac: inventory.MAC(fmt.Sprintf("52:54:00:66:01:%02x", n)), ip: netip.AddrFrom4([4]byte{10, 66, 0, byte(20 + n)}),
		uuid: fmt.Sprintf("5a6b7c8d-1111-4222-8333-0000000000%02x", n)}
	out, err := exec.CommandContext(b.r.t.Context(), "ip", "-n", b.namespace, "addr", "add", m.ip.String()+"/24", "dev", "eth0").CombinedOutput()
	if err != nil {
		b.r.t.Fatalf("add address: %v\n%s", err, out)
	}
	return m
}

// dial connects to the server from the machine's address.
func (m *played) dial(ctx context.Context, network, address string, control func(*net.Dialer)) (conn net.Conn, err error) {
	err = inside(m.b.namespace, func() error {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: m.ip.AsSlice()}}
		if network == "udp4" {
			d.LocalAddr = &net.UDPAddr{IP: m.ip.AsSlice()}
		}
		if control != nil {
			control(&d)
		}
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// pin is the server's TLS key, as the boot script names it.
func (r *rack) pin() (string, error) {
	cert, err := tls.LoadX509KeyPair(filepath.Join(r.data, "tls.pem"), filepath.Join(r.data, "tls.pem"))
	if err != nil {
		return "", err
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return "", err
	}
	return agentapi.Pin(leaf), nil
}

func (m *played) identity() inventory.Identity {
	return inventory.Identity{UUID: m.uuid, MACs: []inventory.MAC{m.mac}}
}

// newAgent is a client of the agent's API from the machine's address.
func (m *played) newAgent() (*agentapi.Client, error) {
	pin, err := m.b.r.pin()
	if err != nil {
		return nil, err
	}
	c := agentapi.NewClient("https://"+server+":7443", pin)
	c.HTTP.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, address string) (net.Conn, error) {
		return m.dial(ctx, "tcp4", address, nil)
	}
	m.t.Cleanup(c.HTTP.CloseIdleConnections)
	return c, nil
}

// hello opens a session.
func (m *played) hello(id inventory.Identity, boot string) error {
	c, err := m.newAgent()
	if err != nil {
		return err
	}
	w, err := c.Hello(m.t.Context(), agentapi.Hello{Boot: boot, Identity: id, BootMAC: m.mac, Firmware: inventory.FirmwareBIOS, Kernel: "6.1.0"})
	if err != nil {
		return err
	}
	m.agent, m.id = c, w.Machine
	return nil
}

// inspected says hello and sends facts: one blank disk of 8 GiB.
func (m *played) inspected() error {
	if err := m.hello(m.identity(), agentapi.NewBoot()); err != nil {
		return err
	}
	return m.agent.Facts(m.t.Context(), &inventory.Facts{System: inventory.System{UUID: m.uuid, Manufacturer: "Ingot", Product: "Played"},
		Firmware: inventory.Firmware{Mode: inventory.FirmwareBIOS, SecureBoot: inventory.SecureBootUnsupported},
		Disks:    []inventory.Disk{{Name: "vda", Path: "/dev/vda", Serial: "S" + m.uuid[34:], SizeBytes: 8 << 30, LogicalSectorBytes: 512}},
		NICs:     []inventory.NIC{{Name: "eth0", MAC: m.mac}}})
}

// ready brings it through approval.
func (m *played) ready() error {
	if err := m.inspected(); err != nil {
		return err
	}
	if _, err := m.b.r.client.Act(m.t.Context(), m.id, api.ActionApprove); err != nil {
		return err
	}
	return m.becomes(inventory.Ready, "")
}

// becomes waits for a state and phase, with a beat for every look.
func (m *played) becomes(s inventory.State, p inventory.Phase) error {
	var last inventory.Status
	err := m.poll(20*time.Second, func() error {
		if err := m.agent.Beat(m.t.Context(), agentapi.Beat{}); err != nil && !errors.Is(err, agentapi.ErrSession) {
			return err
		}
		d, err := m.b.r.client.Machine(m.t.Context(), m.id)
		if err != nil {
			return err
		}
		if last = d.Status; last.State != s || p != "" && last.Phase != p {
			return errNotYet(fmt.Sprintf("it is %s/%s, error %+v", last.State, last.Phase, last.Error))
		}
		return nil
	})
	return err
}

// poll tries f until it returns no errNotYet.
func (m *played) poll(limit time.Duration, f func() error) error {
	tick, end := time.NewTicker(200*time.Millisecond), time.NewTimer(limit)
	defer tick.Stop()
	defer end.Stop()
	for {
		err := f()
		var wait errNotYet
		if !errors.As(err, &wait) {
			return err
		}
		select {
		case <-tick.C:
		case <-end.C:
			return fmt.Errorf("not after %s: %w", limit, err)
		case <-m.t.Context().Done():
			return m.t.Context().Err()
		}
	}
}

// ordered deploys the tiny image and takes the order.
func (m *played) ordered() (agentapi.Order, error) {
	if err := m.ready(); err != nil {
		return agentapi.Order{}, err
	}
	if _, err := m.b.r.client.Deploy(m.t.Context(), m.id, api.Deploy{Image: "tiny"}); err != nil {
		return agentapi.Order{}, err
	}
	if err := m.becomes(inventory.Deploying, inventory.PhaseWrite); err != nil {
		return agentapi.Order{}, err
	}
	o, err := m.agent.Order(m.t.Context(), 0)
	if err == nil && o.Kind != agentapi.OrderDeploy {
		err = fmt.Errorf("order is %q, want a deploy", o.Kind)
	}
	return o, err
}

// written plays a deploy to the agent's good report.
func (m *played) written() (agentapi.Order, error) {
	o, err := m.ordered()
	if err != nil {
		return o, err
	}
	return o, m.agent.Report(m.t.Context(), inventory.Report{Generation: o.Generation, Order: string(o.Kind), OK: true, Disk: "/dev/vda"})
}

// name is what the machine is called on the command line: its name, or its MAC when it
// is no machine of the inventory's.
func (m *played) name() string {
	if m.id == "" {
		return string(m.mac)
	}
	d, err := m.b.r.client.Machine(m.t.Context(), m.id)
	if err != nil {
		m.t.Fatal(err)
	}
	return d.Name
}

// configure writes a configuration file for the rack's server.
func (r *rack) configure(text string) {
	r.t.Helper()
	file := filepath.Join(filepath.Dir(r.data), "ingot.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.flags = append(r.flags, "--config", file)
}
