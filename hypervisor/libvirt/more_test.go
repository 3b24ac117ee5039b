package libvirt

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	lv "github.com/digitalocean/go-libvirt"

	"ingot/hypervisor"
	"ingot/inventory"
)

// TestGrowWithSnapshot: a disk that has a snapshot grows, off and running, and is as small
// as before after a revert.
func TestGrowWithSnapshot(t *testing.T) {
	d, image := needDaemon(t).ready(t, "grow")
	s := spec("m-grow", "grow", image)
	if _, err := d.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	size := func(want int64) {
		t.Helper()
		if vm, err := d.Get(t.Context(), s.ID); err != nil || vm.Disks[0].SizeBytes != want {
			t.Errorf("%+v, %v; want %d bytes", vm.Disks, err, want)
		}
	}
	for _, step := range []func() error{
		func() error { return d.CreateSnapshot(t.Context(), s.ID, "small") },
		func() error { return d.GrowDisk(t.Context(), s.ID, 0, imageBytes+16<<20) },
		func() error { size(imageBytes + 16<<20); return nil },
		func() error { return d.SetPower(t.Context(), s.ID, hypervisor.On, hypervisor.Graceful) },
		func() error { return d.GrowDisk(t.Context(), s.ID, 0, imageBytes+32<<20) },
		func() error { size(imageBytes + 32<<20); return nil },
		func() error { return d.RevertSnapshot(t.Context(), s.ID, "small") },
		func() error { size(imageBytes); return nil },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEmptyDisk is a machine without an image, which boots from the network.
func TestEmptyDisk(t *testing.T) {
	host := needDaemon(t)
	d := host.open(t, "empty")
	s := spec("m-empty", "empty", hypervisor.Image{})
	s.Disks, s.Firmware = []hypervisor.DiskSpec{{SizeBytes: 8 << 20}}, ""
	plan, err := d.Plan(t.Context(), s)
	if err != nil || plan.Clone != hypervisor.FullCopy || plan.Why == "" {
		t.Errorf("plan %+v, %v", plan, err)
	}
	vm, err := d.Create(t.Context(), s)
	if err != nil || vm.Disks[0].SizeBytes != 8<<20 || vm.Clone != "" || (vm.Firmware == inventory.FirmwareUEFI) != d.Capabilities().UEFI {
		t.Errorf("made %+v, %v", vm, err)
	}
	if err := d.Delete(t.Context(), s.ID); err != nil {
		t.Error(err)
	}
	if left := host.left(t); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// TestRemoveImageWhileCloning: one owner takes the image away while another makes a clone.
// Either the clone has its image or there is no clone.
func TestRemoveImageWhileCloning(t *testing.T) {
	host := needDaemon(t)
	ours, image := host.ready(t, "remover")
	theirs := host.open(t, "cloning")
	for i := range 15 {
		if err := ours.EnsureImage(t.Context(), image, nil); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		var made, removed error
		both.Go(func() { _, made = theirs.Create(t.Context(), spec("m-race", "race", image)) })
		both.Go(func() {
			removed = pause(t.Context(), time.Duration(i)*5*time.Millisecond) // another moment each round
			removed = errors.Join(removed, ours.RemoveImage(t.Context(), image.Digest))
		})
		both.Wait()
		digests, err := ours.Images(t.Context())
		there := slices.Contains(digests, image.Digest)
		switch {
		case err != nil:
			t.Error(err)
		case made == nil && !there:
			t.Errorf("round %d: a clone without its image (%v)", i, removed)
		case made != nil && !errors.Is(made, inventory.ErrNotFound) || removed != nil && !errors.Is(removed, inventory.ErrBusy):
			t.Errorf("round %d: create %v, remove %v", i, made, removed)
		}
		if err := theirs.Delete(t.Context(), "m-race"); err != nil {
			t.Error(err)
		}
	}
}

// TestCreateTogether: the same machine, asked for many times at once, is made once.
func TestCreateTogether(t *testing.T) {
	d, image := needDaemon(t).ready(t, "together")
	var together sync.WaitGroup
	for range 8 {
		together.Go(func() {
			if _, err := d.Create(t.Context(), spec("m-one", "one", image)); err != nil {
				t.Error(err)
			}
		})
	}
	together.Wait()
	if all, err := d.List(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestBrokenMachine: one whose disk was deleted behind our back does not hide the others.
func TestBrokenMachine(t *testing.T) {
	host := needDaemon(t)
	d, image := host.ready(t, "broken")
	for _, id := range []string{"m-broken", "m-whole"} {
		if _, err := d.Create(t.Context(), spec(id, id, image)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := d.pool(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.removeAll(t.Context(), diskVolume(d.uuidOf("m-broken"))); err != nil {
		t.Fatal(err)
	}
	all, err := d.List(t.Context())
	if err != nil || len(all) != 2 || all[0].Disks[0].SizeBytes != 0 || all[1].Disks[0].SizeBytes != imageBytes {
		t.Errorf("%+v, %v", all, err)
	}
	if err := d.SetPower(t.Context(), "m-broken", hypervisor.On, hypervisor.Graceful); err == nil {
		t.Error("it started without its disk")
	}
}

// TestCopiedDomain: a domain that somebody copied, metadata and all, is foreign.
func TestCopiedDomain(t *testing.T) {
	host := needDaemon(t)
	d, image := host.ready(t, "copied")
	if _, err := d.Create(t.Context(), spec("m-copied", "copied", image)); err != nil {
		t.Fatal(err)
	}
	f, err := d.find(t.Context(), "m-copied")
	if err != nil {
		t.Fatal(err)
	}
	f.desc.UUID, f.desc.Name = "6b1ab1c2-0000-4000-8000-000000000001", "the-copy"
	text, err := f.desc.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := do(t.Context(), d.link, "define", func(r *lv.Libvirt) error { _, err := r.DomainDefineXML(text); return err }); err != nil {
		t.Fatal(err)
	}
	defer host.undefine(t, "the-copy")
	all, err := d.List(t.Context())
	foreign, err2 := d.Foreign(t.Context())
	if err := errors.Join(err, err2); err != nil || len(all) != 1 || len(foreign) != 1 || foreign[0].UUID != f.desc.UUID || foreign[0].ID != "" {
		t.Errorf("ours %+v, foreign %+v, %v", all, foreign, err)
	}
}

// TestAdoptedSnapshot: a revert to a state from before the adoption does not lose it.
func TestAdoptedSnapshot(t *testing.T) {
	host := needDaemon(t)
	d := host.open(t, "reverter")
	disk := filepath.Join(host.dir, "data", "snap.qcow2")
	host.as(t, "qemu-img", "create", "-q", "-f", "qcow2", disk, "8M")
	if err := host.give(disk); err != nil {
		t.Fatal(err)
	}
	uuid := host.define(t, "snap", "<disk type='file'><driver name='qemu' type='qcow2'/><source file='"+disk+"'/><target dev='sda' bus='sata'/></disk>")
	defer host.undefine(t, "snap")
	n, err := number(uuid)
	if err != nil {
		t.Fatal(err)
	}
	if err := do(t.Context(), d.link, "snapshot", func(r *lv.Libvirt) error {
		_, err := r.DomainSnapshotCreateXML(lv.Domain{Name: "snap", UUID: n}, "<domainsnapshot><name>old</name></domainsnapshot>", 0)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Adopt(t.Context(), uuid, "m-snap"); err != nil {
		t.Fatal(err)
	}
	if err := d.RevertSnapshot(t.Context(), "m-snap", "old"); err != nil {
		t.Fatal(err)
	}
	if vm, err := d.Get(t.Context(), "m-snap"); err != nil || vm.UUID != uuid {
		t.Errorf("%+v, %v", vm, err)
	}
	if err := d.Delete(t.Context(), "m-snap"); err != nil {
		t.Error(err)
	}
}

// TestLeave: a call that takes long does not cost the connection, and one on a connection
// that says nothing does.
func TestLeave(t *testing.T) {
	host := ownDaemon(t)
	d := host.open(t, "leave")
	d.link.patience = time.Second
	s, err := d.link.session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slow := make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := do(ctx, d.link, "slow", func(*lv.Libvirt) error { <-slow; return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("slow: %v", err)
	}
	if within(s.conn.gone, 3*time.Second) {
		t.Error("a connection that answers was dropped")
	}
	close(slow)
	if err := host.signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := d.List(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("list: %v", err)
	}
	if !within(s.conn.gone, 10*time.Second) {
		t.Error("a connection that says nothing was kept")
	}
	if err := host.signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if _, err := d.List(t.Context()); err != nil {
		t.Error(err)
	}
}
