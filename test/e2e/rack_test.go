package e2e

import (
	"context"
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
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/pxe/lab"
)

// rack is one virtual rack with a server in it.
type rack struct {
	t      *testing.T
	lab    *lab.Lab
	data   string
	flags  []string
	env    []string
	client *api.Client
	server *exec.Cmd
	log    *os.File
}

var rackNumber atomic.Int64

// serverNetwork is the network the server stands in.
const serverNetwork = "rack"

// guests bounds the machines that run at once on a small test machine.
var guests = make(chan struct{}, 2)

// newRack sets up the rack and a data directory; the server is started by start.
func newRack(t *testing.T, spec lab.Spec, flags ...string) *rack {
	t.Helper()
	need(t)
	n := rackNumber.Add(1)
	spec.Name = fmt.Sprintf("e2e%d-%d", os.Getpid()%10000, n)
	if len(spec.Networks) == 0 {
		spec.Networks = []lab.Network{{Name: serverNetwork, Address: netip.MustParsePrefix("10.66.0.1/24")}}
	}
	dir := t.TempDir()
	l, err := lab.Up(t.Context(), filepath.Join(dir, "lab"), spec)
	if err != nil {
		t.Fatal(err)
	}
	r := &rack{t: t, lab: l, data: filepath.Join(dir, "data"), flags: flags}
	t.Cleanup(r.down)
	out, err := exec.CommandContext(t.Context(), "cp", "-al", built.seedData, r.data).CombinedOutput()
	if err != nil {
		out, err = exec.CommandContext(t.Context(), "cp", "-a", built.seedData, r.data).CombinedOutput()
	}
	if err != nil {
		t.Fatalf("copy data: %v\n%s", err, out)
	}
	return r
}

// down ends server and rack, and shows the logs of a failed test.
func (r *rack) down() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if r.t.Failed() {
		r.evidence(ctx)
	}
	r.stop()
	if err := r.lab.Down(ctx, false); err != nil {
		r.t.Errorf("take rack down: %v", err)
	}
}

func (r *rack) evidence(ctx context.Context) {
	if r.log != nil {
		text, _ := os.ReadFile(r.log.Name()) // for a person
		r.t.Logf("server:\n%s", tail(string(text), 40))
	}
	if r.client != nil {
		var lines []string
		_ = r.client.Events(ctx, api.EventOptions{}, func(e inventory.Event) error { // what came is shown
			lines = append(lines, fmt.Sprintf("%s %s %s", e.Time.Format("15:04:05"), e.Name, e.Text()))
			return nil
		})
		r.t.Logf("events:\n%s", tail(strings.Join(lines, "\n"), 60))
	}
	for _, m := range r.lab.Spec().Machines {
		text, _ := os.ReadFile(r.lab.ConsoleLog(m.Name)) // for a person
		r.t.Logf("console of %s:\n%s", m.Name, tail(printable(string(text)), 40))
	}
}

func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '\n' || (c >= ' ' && c < 0x7f) {
			return c
		}
		return -1
	}, s)
}

func tail(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// start runs ingot serve in the rack's namespace and waits until it is ready.
func (r *rack) start() {
	r.t.Helper()
	args := append([]string{"serve", "--data", r.data, "--interface", serverNetwork}, r.flags...)
	r.server = r.lab.Command(context.Background(), built.ingot, args...)
	r.server.Env = append(append(os.Environ(), "INGOT_LOCAL_HOST=false"), r.env...)
	log, err := os.OpenFile(filepath.Join(filepath.Dir(r.data), "server.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	r.log, r.server.Stdout, r.server.Stderr = log, log, log
	if err := r.server.Start(); err != nil {
		r.t.Fatal(err)
	}
	httpClient := &http.Client{Transport: &http.Transport{DialContext: r.dial}}
	r.client = &api.Client{Base: "http://127.0.0.1:7470", HTTP: httpClient}
	r.eventually("server ready", time.Minute, func(ctx context.Context) error {
		if err := r.server.Process.Signal(syscall.Signal(0)); err != nil {
			return fmt.Errorf("server ended: %w", err)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.client.Base+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := httpClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		token, err := os.ReadFile(filepath.Join(r.data, "admin.token"))
		r.client.Token = strings.TrimSpace(string(token))
		return err
	})
}

// dial connects from within the rack's namespace.
func (r *rack) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := r.inside(func() error {
		var d net.Dialer
		var err error
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// inside runs f on a thread that is in the rack's namespace. A socket stays where it was
// made; the thread goes back, since the first thread of a program can't end.
func (r *rack) inside(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	if err != nil {
		return err
	}
	defer home.Close()
	ns, err := netns.GetFromName(r.lab.Namespace())
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := netns.Set(ns); err != nil {
		return err
	}
	return errors.Join(f(), netns.Set(home))
}

// stop ends the server as systemd would.
func (r *rack) stop() {
	if r.server == nil {
		return
	}
	_ = r.server.Process.Signal(os.Interrupt) // may have ended
	r.wait()
}

// kill ends the server as a power cut would.
func (r *rack) kill() {
	_ = r.server.Process.Kill() // may have ended
	r.wait()
}

func (r *rack) wait() {
	_ = r.server.Wait() // the exit code of a killed server says nothing
	_ = r.log.Close()   // only read from now on
	r.server = nil
}

// eventually tries f until it returns nil.
func (r *rack) eventually(what string, limit time.Duration, f func(context.Context) error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			r.t.Fatalf("%s: not after %s: %v", what, limit, err)
		case <-tick.C:
		}
	}
}

// power switches a machine.
func (r *rack) power(name string, a lab.Action) {
	r.t.Helper()
	if err := r.lab.Power(r.t.Context(), name, a); err != nil {
		r.t.Fatal(err)
	}
}

// find returns the inventory's machine for a machine of the rack, by its NICs.
func (r *rack) find(ctx context.Context, name string) (inventory.Machine, error) {
	ms, err := r.client.Machines(ctx)
	if err != nil {
		return inventory.Machine{}, err
	}
	for _, racked := range r.lab.Spec().Machines {
		if racked.Name != name {
			continue
		}
		for _, m := range ms {
			for _, mac := range m.Identity.MACs {
				for _, nic := range racked.NICs {
					if string(mac) == nic.MAC {
						return m, nil
					}
				}
			}
		}
	}
	return inventory.Machine{}, fmt.Errorf("machine %s is not in the inventory", name)
}

// until waits for a machine to be as ok says; ok explains itself by its error.
func (r *rack) until(name, what string, limit time.Duration, ok func(inventory.Machine) error) inventory.Machine {
	r.t.Helper()
	var m inventory.Machine
	r.eventually(name+": "+what, limit, func(ctx context.Context) error {
		var err error
		if m, err = r.find(ctx, name); err != nil {
			return err
		}
		return ok(m)
	})
	return m
}

func inState(s inventory.State) func(inventory.Machine) error {
	return func(m inventory.Machine) error {
		if m.Status.State != s {
			return fmt.Errorf("it is %s/%s, error %+v", m.Status.State, m.Status.Phase, m.Status.Error)
		}
		return nil
	}
}

// agentUp waits until the machine's agent has sent its facts.
func (r *rack) agentUp(name string) inventory.Machine {
	r.t.Helper()
	return r.until(name, "facts of the agent", 4*time.Minute, func(m inventory.Machine) error {
		if m.Status.Agent == nil || m.Status.Agent.FactsAt.IsZero() {
			return errors.New("no facts yet")
		}
		return nil
	})
}

// approved brings a machine that is on to ready.
func (r *rack) approved(name string) inventory.Machine {
	r.t.Helper()
	m := r.agentUp(name)
	if _, err := r.client.Act(r.t.Context(), m.ID, api.ActionApprove); err != nil {
		r.t.Fatal(err)
	}
	return r.until(name, "ready", time.Minute, inState(inventory.Ready))
}

// deploy orders an image and returns; deployed waits for the phone-home.
func (r *rack) deploy(name string, d api.Deploy) inventory.Machine {
	r.t.Helper()
	m, err := r.find(r.t.Context(), name)
	if err == nil {
		m, err = r.client.Deploy(r.t.Context(), m.ID, d)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

func (r *rack) deployed(name string, limit time.Duration) inventory.Machine {
	r.t.Helper()
	return r.until(name, "deployed", limit, func(m inventory.Machine) error {
		if e := m.Status.Error; e != nil && e.Permanent {
			r.t.Fatalf("%s: %s failed: %s", name, e.Step, e.Reason)
		}
		return inState(inventory.Deployed)(m)
	})
}

// events of a machine, as their sentences.
func (r *rack) events(id string) []inventory.Event {
	r.t.Helper()
	var out []inventory.Event
	err := r.client.Events(r.t.Context(), api.EventOptions{Machine: id}, func(e inventory.Event) error {
		out = append(out, e)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// guest takes one of the places for running machines until the test ends.
func guest(t *testing.T) {
	t.Helper()
	select {
	case guests <- struct{}{}:
		t.Cleanup(func() { <-guests })
	case <-t.Context().Done():
	}
}
