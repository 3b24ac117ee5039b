package vsphere_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ingot/hypervisor"
	"ingot/hypervisor/vsphere/sim"
)

// Whatever call of an upload fails, nothing is left, and the next one makes it whole.
func TestImageFaults(t *testing.T) {
	for _, esx := range []bool{false, true} {
		s := start(t, sim.Options{ESX: esx})
		d := open(t, s, "faults")
		img := image(t)
		for n := 1; ; n++ {
			failed := s.Fail((n+1)/2, n%2 == 0)
			err := d.EnsureImage(t.Context(), img, nil)
			if !failed() {
				break
			}
			if err == nil {
				t.Errorf("ESXi %v: call %d failed and nobody said so", esx, n)
			}
			if err := d.EnsureImage(t.Context(), img, nil); err != nil {
				t.Errorf("ESXi %v: again after call %d failed: %v", esx, n, err)
			}
			if err := d.RemoveImage(t.Context(), img.Digest); err != nil {
				t.Errorf("ESXi %v: remove after call %d failed: %v", esx, n, err)
			}
			if left := left(t, s); len(left) > 0 {
				t.Errorf("ESXi %v: left after call %d failed: %q", esx, n, left)
			}
		}
	}
}

// What arrives is what was sent: the image's disk, and the seed.
func TestContent(t *testing.T) {
	s := start(t, sim.Options{})
	d := open(t, s, "content")
	var told []hypervisor.Progress
	if err := d.EnsureImage(t.Context(), image(t), func(p hypervisor.Progress) { told = append(told, p) }); err != nil {
		t.Fatal(err)
	}
	if n := len(told); n == 0 || told[n-1].Bytes != told[n-1].TotalBytes {
		t.Errorf("progress %v", told)
	}
	disks, err := filepath.Glob(filepath.Join(s.Dir(""), "ingot-image-*", "*-flat.vmdk"))
	if err != nil || len(disks) != 1 {
		t.Fatalf("disks %v, %v", disks, err)
	}
	if got, err := os.ReadFile(disks[0]); err != nil || !bytes.Equal(got, content()) {
		t.Errorf("the image's disk is not what was sent (%v)", err)
	}
	spec := machine("m-1", "one")
	if _, err := d.Create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	seeds, _ := filepath.Glob(filepath.Join(s.Dir(""), "seed-*", "seed-flat.vmdk"))
	if len(seeds) != 1 {
		t.Fatalf("seeds %v", seeds)
	}
	if got, err := os.ReadFile(seeds[0]); err != nil || !bytes.HasPrefix(got, spec.Seed) || len(got)%(1<<20) != 0 {
		t.Errorf("the seed is not what was sent (%d bytes, %v)", len(got), err)
	}
}

// A lease that is shorter than the upload lives on by its progress.
func TestLeaseLives(t *testing.T) {
	s := start(t, sim.Options{Lease: 2 * time.Second})
	d := open(t, s, "lease")
	img := image(t)
	whole := img.Open
	img.Open = func(ctx context.Context, f hypervisor.Format) (hypervisor.Artefact, error) {
		a, err := whole(ctx, f)
		a.Content = slow{a.Content, t, s}
		return a, err
	}
	if err := d.EnsureImage(t.Context(), img, nil); err != nil {
		t.Error(err)
	}
	if n := count(s, "HttpNfcLeaseProgress"); n < 6 {
		t.Errorf("progress was told %d times", n)
	}
}

// slow stops reading after the start until progress was told for longer than the lease.
type slow struct {
	hypervisorContent
	t *testing.T
	s *sim.Server
}

type hypervisorContent = interface {
	Read([]byte) (int, error)
	Close() error
	ReadAt([]byte, int64) (int, error)
}

func (c slow) Read(p []byte) (int, error) {
	if err := c.s.Await(c.t.Context(), "HttpNfcLeaseProgress", 6); err != nil {
		return 0, err
	}
	return c.hypervisorContent.Read(p)
}
