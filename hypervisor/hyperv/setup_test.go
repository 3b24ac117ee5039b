package hyperv_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"ingot/hypervisor"
	"ingot/hypervisor/drivertest"
	"ingot/hypervisor/hyperv"
	"ingot/hypervisor/hyperv/sim"
	"ingot/inventory"
)

const (
	imageBytes = 4 << 20
	// soonAgain is how often tests look.
	soonAgain = 5 * time.Millisecond
)

// offers is this computer's side of fetching: each artefact under its name.
type offers struct {
	server *httptest.Server
	mu     sync.Mutex
	files  map[string]hypervisor.Artefact
	// cut, when set, may end an answer after so many bytes.
	cut func() (bytes int64, cut bool)
}

func newOffers(t *testing.T) *offers {
	t.Helper()
	o := &offers{files: map[string]hypervisor.Artefact{}}
	o.server = httptest.NewUnstartedServer(o)
	o.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	o.server.StartTLS()
	t.Cleanup(o.server.Close)
	return o
}

// offer is Config.Offer.
func (o *offers) offer(_ context.Context, name string, a hypervisor.Artefact) (hyperv.Offer, func(), error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.files["/"+name] = a
	sum := sha256.Sum256(o.server.Certificate().Raw)
	release := func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.files, "/"+name)
	}
	return hyperv.Offer{URL: o.server.URL + "/" + name, CertificateSHA256: hex.EncodeToString(sum[:])}, release, nil
}

// ServeHTTP serves with ranges.
func (o *offers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	a, there := o.files[r.URL.Path]
	cut := o.cut
	o.mu.Unlock()
	if !there {
		http.NotFound(w, r)
		return
	}
	if cut != nil {
		if n, now := cut(); now {
			w = &short{w, n}
		}
	}
	http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(a.Content, 0, a.SizeBytes))
}

// short ends the connection after some bytes.
type short struct {
	http.ResponseWriter
	left int64
}

func (s *short) Write(b []byte) (int, error) {
	if int64(len(b)) <= s.left {
		s.left -= int64(len(b))
		return s.ResponseWriter.Write(b)
	}
	s.ResponseWriter.Write(b[:s.left])
	s.ResponseWriter.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// config is one for a simulated host.
func config(t *testing.T, h *sim.Host, owner string) hyperv.Config {
	return hyperv.Config{URL: "winrm+https://ingot@hv1", Owner: owner, Runner: h, Every: soonAgain, Offer: newOffers(t).offer, Log: slog.New(slog.NewTextHandler(testWriter{t}, nil))}
}

func opened(t *testing.T, c hyperv.Config) *hyperv.Driver {
	t.Helper()
	d, err := hyperv.Open(t.Context(), c)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return d
}

// open makes a driver that is closed at the end.
func open(t *testing.T, h *sim.Host, owner string) *hyperv.Driver {
	t.Helper()
	d := opened(t, config(t, h, owner))
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

// ready is open with the image there.
func ready(t *testing.T, h *sim.Host, owner string) *hyperv.Driver {
	t.Helper()
	d := open(t, h, owner)
	if err := d.EnsureImage(t.Context(), image(t), nil); err != nil {
		t.Fatalf("ensure image: %v", err)
	}
	return d
}

// testWriter logs to a test.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(bytes.TrimSpace(p)))
	return len(p), nil
}

// theImage is a small VHDX, made by qemu-img once.
var theImage = sync.OnceValues(func() ([]byte, error) {
	return drivertest.Convert(content(), "vhdx", "subformat=dynamic,block_size=1048576")
})

// content is the image's raw disk.
func content() []byte { return drivertest.RawDisk(imageBytes, imageBytes/2) }

// theDigest is the image's.
var theDigest = sync.OnceValue(func() string {
	sum := sha256.Sum256(content())
	return "sha256:" + hex.EncodeToString(sum[:])
})

func image(t *testing.T) hypervisor.Image {
	t.Helper()
	drivertest.NeedQemuImg(t)
	data, err := theImage()
	if err != nil {
		t.Fatal(err)
	}
	return hypervisor.Image{Digest: theDigest(), Name: "test:stable", SizeBytes: imageBytes, BootModes: []string{"bios", "uefi", "secureboot"},
		Open: func(_ context.Context, f hypervisor.Format) (hypervisor.Artefact, error) {
			if f != hypervisor.VHDX {
				t.Errorf("asked for %s", f)
			}
			return drivertest.Artefact(data), nil
		}}
}

// imagePath is where it lies at the host.
func imagePath() string {
	return sim.VHDFolder + `\ingot\images\` + strings.TrimPrefix(theDigest(), "sha256:") + ".vhdx"
}

// spec is a small machine with UEFI.
func spec(id, name string) hypervisor.Spec {
	return hypervisor.Spec{ID: id, Name: name, CPUs: 1, MemoryBytes: 64 << 20, Image: theDigest(), Firmware: inventory.FirmwareUEFI, Disks: []hypervisor.DiskSpec{{}},
		NICs: []hypervisor.NICSpec{{MAC: "52:54:00:00:00:01"}}}
}

// create makes a machine.
func create(t *testing.T, d *hyperv.Driver, s hypervisor.Spec) hypervisor.VM {
	t.Helper()
	vm, err := d.Create(t.Context(), s)
	if err != nil {
		t.Fatalf("create %s: %v", s.ID, err)
	}
	return vm
}

// await waits until a script ran so often.
func await(t *testing.T, h *sim.Host, script string, times int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := h.Await(ctx, script, times); err != nil {
		t.Fatalf("script %s: %v", script, err)
	}
}
