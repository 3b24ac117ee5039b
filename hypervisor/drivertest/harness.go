package drivertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"testing"
	"time"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Harness is a host under test, and what the suite must see and do behind the driver's
// back.
type Harness struct {
	// New returns a driver that works for an owner. The suite closes it.
	New func(t *testing.T, owner string) hypervisor.Driver
	// Image is a small image of the driver's format.
	Image hypervisor.Image
	// Left names everything at the host that a driver made: machines, disks, seeds,
	// images.
	Left func(t *testing.T) []string
	// Vanish deletes a machine behind the driver's back, its disks not.
	Vanish func(t *testing.T, vm hypervisor.VM)
	// Fail makes the n-th changing call from now on (1 is the next) fail, once. The
	// function it returns tells whether that came to pass, and ends it. nil where a host
	// can't be made to fail.
	Fail func(t *testing.T, n int) (failed func() bool)
	// Network is a network of the host to attach to, empty for its default.
	Network string
	// Soon is how long a call may take after its context ended; 0 is 5 s.
	Soon time.Duration
}

// small is the least machine.
func (h Harness) small(id, name string) hypervisor.Spec {
	return hypervisor.Spec{ID: id, Name: name, CPUs: 1, MemoryBytes: 64 << 20, Image: h.Image.Digest, Firmware: inventory.FirmwareBIOS,
		Disks: []hypervisor.DiskSpec{{}}, NICs: []hypervisor.NICSpec{{MAC: macOf(id), Network: h.Network}}, Seed: bytes.Repeat([]byte("seed"), 4096)}
}

// macOf makes an address of an ID.
func macOf(id string) inventory.MAC {
	sum := sha256.Sum256([]byte(id))
	mac, err := inventory.MACFrom([]byte{0x52, 0x54, 0, sum[0], sum[1], sum[2]})
	if err != nil {
		panic(err)
	}
	return mac
}

// Content is an artefact's bytes in memory.
type Content struct{ *bytes.Reader }

// Close implements io.Closer.
func (Content) Close() error { return nil }

// Artefact makes one of bytes.
func Artefact(data []byte) hypervisor.Artefact {
	sum := sha256.Sum256(data)
	return hypervisor.Artefact{Content: Content{bytes.NewReader(data)}, SizeBytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}
}

// data reads the harness's image whole.
func (h Harness) data(t *testing.T, format hypervisor.Format) []byte {
	t.Helper()
	a, err := h.Image.Open(t.Context(), format)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Content.Close()
	data, err := io.ReadAll(a.Content)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// driver makes a driver that is closed at the end.
func (h Harness) driver(t *testing.T, owner string) hypervisor.Driver {
	t.Helper()
	d := h.New(t, owner)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

// ready is a driver with the image at its host; everything is gone at the end.
func (h Harness) ready(t *testing.T, owner string) hypervisor.Driver {
	t.Helper()
	d := h.driver(t, owner)
	if err := d.EnsureImage(t.Context(), h.Image, nil); err != nil {
		t.Fatalf("ensure image: %v", err)
	}
	t.Cleanup(func() { h.clear(t, d) })
	return d
}

func (h Harness) clear(t *testing.T, d hypervisor.Driver) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	all, err := d.List(ctx)
	if err != nil {
		t.Errorf("list: %v", err)
	}
	for _, vm := range all {
		if err := d.Delete(ctx, vm.ID); err != nil {
			t.Errorf("delete %s: %v", vm.ID, err)
		}
	}
	if err := d.RemoveImage(ctx, h.Image.Digest); err != nil {
		t.Errorf("remove image: %v", err)
	}
	if left := h.Left(t); len(left) > 0 {
		t.Errorf("left at the host: %q", left)
	}
}
