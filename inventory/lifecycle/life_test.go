package lifecycle_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
	"ingot/inventory/lifecycle"
)

func TestWholeLife(t *testing.T) {
	w := newWorld(t)
	w.want(inventory.Discovered, "")
	w.advance()
	w.want(inventory.Discovered, "")
	w.approve()
	w.want(inventory.Inspecting, inventory.PhaseInspect)
	w.pass(30 * time.Second)
	w.agentUp("boot-1")
	w.want(inventory.Ready, "")
	w.deploy(lifecycle.DeployOrder{UserData: []byte("#cloud-config\n{}\n"), By: "admin"})
	w.want(inventory.Deploying, inventory.PhaseWrite)
	w.pass(time.Second)
	w.report(true, nil)
	w.want(inventory.Deploying, inventory.PhaseReboot)
	w.pass(lifecycle.DefaultLimits.Silent)
	w.want(inventory.Deploying, inventory.PhaseFirstBoot)
	w.edit(func(m *inventory.Machine) {
		m.Status.PhoneHome = &inventory.PhoneHome{Generation: m.Spec.Generation, InstanceID: "i"}
	})
	w.want(inventory.Deployed, "")
	if m := w.machine(); m.Status.ImageDigest != image.Digest || m.Status.Agent != nil || m.Spec.Generation != 1 {
		t.Errorf("deployed machine: %+v", m)
	}
	if _, err := w.l.Release(t.Context(), "web", "admin"); err != nil {
		t.Fatal(err)
	}
	w.advance()
	w.want(inventory.Releasing, inventory.PhaseWipe)
	w.agentUp("boot-2")
	w.report(true, nil)
	w.want(inventory.Ready, "")
	if m := w.machine(); m.Status.ImageDigest != "" || m.Spec.Image != "" {
		t.Errorf("released machine: %+v", m)
	}
	want := []string{"order 0: approve", "discovered → inspecting (approve)", "inspecting → ready (inspected)",
		"order 1: deploy debian-12@sha256:abababababab", "ready → deploying (deploy)", "boot", "write", "reboot", "first-boot",
		"deploying → deployed (phone-home)", "phone-home from invalid IP", "order 2: release", "deployed → releasing (release)", "releasing → ready (wiped)"}
	if d := cmp.Diff(want, w.timeline()); d != "" {
		t.Errorf("timeline (-want +got):\n%s", d)
	}
}

// TestRunWakes: an order is taken up at once and not at the next look, and Run ends with
// its context.
func TestRunWakes(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.l.Run(ctx) }()
	seen := make(chan struct{})
	go func() {
		_ = w.store.Follow(ctx, 0, func(e inventory.Event) error { // ends with ctx
			if e.Text() == "discovered → inspecting (approve)" {
				close(seen)
			}
			return nil
		})
	}()
	if _, err := w.l.Approve(ctx, "web", "admin"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-seen:
	case <-time.After(10 * time.Second):
		t.Error("the approval was not taken up")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestClaimWindow: an order that no agent takes in time waits for a new one; an order
// that was taken goes on however long it lasts.
func TestClaimWindow(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.edit(func(m *inventory.Machine) { m.Status.Agent = nil })
	w.deploy(lifecycle.DeployOrder{})
	w.pass(w.l.Limits.Claim + time.Second)
	if e := w.machine().Status.Error; e == nil || !e.Permanent || !strings.Contains(e.Reason, "no agent of this machine took the order within") {
		t.Fatalf("error = %+v", e)
	}
	w.agentUp("boot-2")
	w.want(inventory.Deploying, inventory.PhaseBoot)
	w.deploy(lifecycle.DeployOrder{})
	w.edit(func(m *inventory.Machine) {
		m.Status.Claim = &inventory.Claim{Generation: m.Spec.Generation, Boot: "boot-2", At: w.now}
	})
	w.now = w.now.Add(w.l.Limits.Claim + time.Hour)
	w.beat()
	w.report(true, nil)
	w.want(inventory.Deploying, inventory.PhaseReboot)
}
