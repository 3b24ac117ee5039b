package lifecycle_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"ingot/inventory"
	"ingot/inventory/lifecycle"
)

// TestHoldAll: after a restored backup nothing is written until a person looked.
func TestHoldAll(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.deploy(lifecycle.DeployOrder{})
	w.update(func(ctx context.Context, x inventory.Tx) error {
		return lifecycle.HoldAll(ctx, x, w.l, "restored from a backup")
	})
	w.report(true, nil)
	w.want(inventory.Deploying, inventory.PhaseWrite)
	_, err := w.l.Deploy(t.Context(), "web", lifecycle.DeployOrder{Image: "debian-12"})
	if !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "restored from a backup") {
		t.Errorf("deploy on hold: %v", err)
	}
	if _, err := w.l.Resume(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	w.advance()
	w.want(inventory.Deploying, inventory.PhaseReboot)
}

func TestConflictStopsEverything(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.edit(func(m *inventory.Machine) { m.Status.Conflict = "UUID a against b" })
	for name, order := range map[string]func() error{
		"deploy": func() error {
			_, err := w.l.Deploy(t.Context(), "web", lifecycle.DeployOrder{Image: "debian-12"})
			return err
		},
		"release": func() error { _, err := w.l.Release(t.Context(), "web", "admin"); return err },
	} {
		if err := order(); !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "UUID a against b") {
			t.Errorf("%s in a conflict: %v", name, err)
		}
	}
}

func TestLockedMachine(t *testing.T) {
	w := newWorld(t)
	w.ready()
	if _, err := w.l.SetLock(t.Context(), "web", true); err != nil {
		t.Fatal(err)
	}
	for name, order := range map[string]func() error{
		"deploy": func() error {
			_, err := w.l.Deploy(t.Context(), "web", lifecycle.DeployOrder{Image: "debian-12"})
			return err
		},
		"release": func() error { _, err := w.l.Release(t.Context(), "web", "admin"); return err },
		"retire":  func() error { _, err := w.l.Trigger(t.Context(), "web", inventory.TriggerRetire, "admin"); return err },
		"delete":  func() error { return w.l.Delete(t.Context(), "web") },
	} {
		if err := order(); !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "locked") {
			t.Errorf("%s of a locked machine: %v", name, err)
		}
	}
}

// TestDeployIsCheckedBeforeAnythingChanges holds orders against facts and catalog.
func TestDeployIsCheckedBeforeAnythingChanges(t *testing.T) {
	for _, c := range []struct {
		name  string
		order lifecycle.DeployOrder
		spoil func(*inventory.Facts)
		class error
		text  string
	}{
		{"no such image", lifecycle.DeployOrder{Image: "debian-13"}, nil, inventory.ErrNotFound, "debian-13:stable"},
		{"no such channel", lifecycle.DeployOrder{Image: "debian-12:nightly"}, nil, inventory.ErrNotFound, "debian-12:nightly"},
		{"no such digest", lifecycle.DeployOrder{Image: "debian-12@sha256:000000000000"}, nil, inventory.ErrNotFound, "000000000000"},
		{"bad reference", lifecycle.DeployOrder{Image: "Debian 12"}, nil, inventory.ErrInvalid, "Debian 12"},
		{"two disks", lifecycle.DeployOrder{Image: "debian-12"}, nil, inventory.ErrInvalid, "2 disks fit"},
		{"no disk fits", lifecycle.DeployOrder{Image: "debian-12", Disk: inventory.DiskHint{Serial: "nope"}}, nil, inventory.ErrInvalid, "no disk fits serial=nope"},
		{"4096-byte sectors", lifecycle.DeployOrder{Image: "debian-12", Disk: inventory.DiskHint{Name: "sdb"}}, nil, inventory.ErrInvalid, "4096-byte sectors"},
		{"too small", lifecycle.DeployOrder{Image: "debian-12", Disk: inventory.DiskHint{Name: "sda"}},
			func(f *inventory.Facts) { f.Disks[0].SizeBytes = image.SizeBytes + lifecycle.SeedRoomBytes - 1 }, inventory.ErrInvalid, "needs 2.01 GB"},
		{"Secure Boot", lifecycle.DeployOrder{Image: "debian-12", Disk: inventory.DiskHint{Name: "sda"}},
			func(f *inventory.Facts) { f.Firmware.SecureBoot = inventory.SecureBootOn }, inventory.ErrInvalid, "boots by secureboot"},
		{"address of a NIC that is not there", lifecycle.DeployOrder{Image: "debian-12", Disk: inventory.DiskHint{Name: "sda"},
			Addresses: []inventory.StaticAddress{{MAC: "02:00:00:00:00:99", Prefix: netip.MustParsePrefix("192.0.2.9/24")}}}, nil, inventory.ErrInvalid, "02:00:00:00:00:99"},
		{"user data that cloud-init ignores", lifecycle.DeployOrder{Image: "debian-12", UserData: []byte("hello")}, nil, inventory.ErrInvalid, "user data begins"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.ready()
			if c.spoil != nil {
				w.update(func(ctx context.Context, x inventory.Tx) error {
					f, err := x.Facts(ctx, w.id, 0)
					if err != nil {
						return err
					}
					c.spoil(f)
					_, err = x.AddFacts(ctx, w.id, f)
					return err
				})
			}
			before := w.machine()
			_, err := w.l.Deploy(t.Context(), "web", c.order)
			if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("deploy: %v, want %v with %q", err, c.class, c.text)
			}
			if after := w.machine(); after.Revision != before.Revision || after.Spec.Generation != 0 {
				t.Errorf("the refused order changed the machine: %+v", after.Spec)
			}
		})
	}
}

func TestDeployNeedsApproval(t *testing.T) {
	w := newWorld(t)
	_, err := w.l.Deploy(t.Context(), "web", lifecycle.DeployOrder{Image: "debian-12"})
	if !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "not approved") {
		t.Errorf("deploy: %v", err)
	}
}

func TestDeleteKeepsTheEvents(t *testing.T) {
	w := newWorld(t)
	w.ready()
	if err := w.l.Delete(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	w.advance() // a machine that is gone has nothing to do
	tl := w.timeline()
	if tl[len(tl)-1] != "deleted from the inventory" {
		t.Errorf("timeline: %q", tl)
	}
}

// TestVMOrders: what is for metal is refused to VMs, and one that a host has is not
// forgotten by accident.
func TestVMOrders(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.update(func(ctx context.Context, x inventory.Tx) error {
		return x.PutHost(ctx, inventory.Host{Name: "vc1", URL: "vsphere://me@vc1/dc"})
	})
	w.l.Executors[inventory.KindVM] = w.exec
	vm := inventory.NewVM("db", inventory.VMSpec{Host: "vc1", CPUs: 1, MemoryBytes: 1 << 30, DiskBytes: []int64{0}}, w.now)
	if err := w.l.Create(ctx, vm, lifecycle.DeployOrder{Image: wide.Name + "@" + wide.Digest}); !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), "4096-byte sectors") {
		t.Errorf("an image for disks that no VM has: %v", err)
	}
	if err := w.l.Create(ctx, vm, lifecycle.DeployOrder{Image: image.Name}); err != nil {
		t.Fatal(err)
	}
	for _, trigger := range []inventory.Trigger{inventory.TriggerInspect, inventory.TriggerRescue, inventory.TriggerReturn, inventory.TriggerRetire, inventory.TriggerRevive} {
		if _, err := w.l.Trigger(ctx, "db", trigger, "me"); !errors.Is(err, inventory.ErrUnsupported) {
			t.Errorf("%s: %v, want ErrUnsupported", trigger, err)
		}
	}
	if err := w.l.Delete(ctx, "db"); !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "ingot vm delete db") {
		t.Errorf("delete what is being made: %v", err)
	}
	if _, err := w.l.Remove(ctx, "db", "me"); err != nil {
		t.Fatal(err)
	}
	if err := w.l.Delete(ctx, "db"); !errors.Is(err, inventory.ErrBusy) {
		t.Errorf("delete while its host is being told: %v", err)
	}
	w.update(func(ctx context.Context, x inventory.Tx) error {
		m, err := x.Machine(ctx, "db")
		if err != nil {
			return err
		}
		m.Status.Error = &inventory.Failure{Step: "wipe", Reason: "the host does not answer"}
		return x.PutMachine(ctx, m)
	})
	if err := w.l.Delete(ctx, "db"); err != nil {
		t.Errorf("delete after its host did not answer: %v", err)
	}
}
