package hyperv_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"ingot/hypervisor"
	"ingot/hypervisor/drivertest"
	"ingot/hypervisor/hyperv"
	"ingot/hypervisor/hyperv/sim"
	"ingot/inventory"
)

// A fetch that is cut goes on where it was: over a connection that ends early, and over
// calls that are given up.
func TestFetchGoesOn(t *testing.T) {
	h, o := sim.New(sim.Options{}), newOffers(t)
	c := config(t, h, "resume")
	c.Offer = o.offer
	d := opened(t, c)
	var answers atomic.Int64
	o.cut = func() (int64, bool) { return 1<<20 + 7, answers.Add(1) <= 6 }
	var told []int64
	img := image(t)
	if err := d.EnsureImage(t.Context(), img, func(p hypervisor.Progress) { told = append(told, p.Bytes) }); err != nil {
		t.Fatal(err)
	}
	if len(told) < 3 || told[0] == 0 || told[0] >= told[1] || told[1] >= told[2] {
		t.Errorf("progress %v over %d answers", told, answers.Load())
	}
	if digests, err := d.Images(t.Context()); err != nil || len(digests) != 1 {
		t.Errorf("images %v, %v", digests, err)
	}
	if err := d.EnsureImage(t.Context(), img, nil); err != nil {
		t.Fatal(err)
	}
	if n := answers.Load(); n != 7 {
		t.Errorf("%d answers, the image was there after 7", n)
	}
}

// A context that ends stops the fetch and keeps what came; the next attempt goes on.
func TestFetchStops(t *testing.T) {
	h, o := sim.New(sim.Options{}), newOffers(t)
	c := config(t, h, "stop")
	c.Offer = o.offer
	d := opened(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	var answers atomic.Int64
	o.cut = func() (int64, bool) { return 2 << 20, answers.Add(1) == 1 }
	err := d.EnsureImage(ctx, image(t), func(hypervisor.Progress) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the context's error", err)
	}
	if left := h.Left(); len(left) != 1 || !strings.HasSuffix(left[0], ".part.vhdx") {
		t.Errorf("left %q, want what came", left)
	}
	var first int64
	if err := d.EnsureImage(t.Context(), image(t), func(p hypervisor.Progress) {
		if first == 0 {
			first = p.Bytes
		}
	}); err != nil {
		t.Fatal(err)
	}
	if answers.Load() != 2 || len(h.Left()) != 1 {
		t.Errorf("%d answers, left %q", answers.Load(), h.Left())
	}
}

func TestFetchRefused(t *testing.T) {
	drivertest.NeedQemuImg(t)
	data, err := theImage()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*hyperv.Config, *hypervisor.Image)
		host   func(*sim.Host)
		class  error
		want   string
	}{
		"another certificate": {func(c *hyperv.Config, _ *hypervisor.Image) {
			c.Offer = offered(c.Offer, func(o *hyperv.Offer) { o.CertificateSHA256 = strings.Repeat("00", 32) })
		}, nil, inventory.ErrDenied, "somebody is in between"},
		"nobody there": {func(c *hyperv.Config, _ *hypervisor.Image) {
			c.Offer = offered(c.Offer, func(o *hyperv.Offer) { o.URL = "https://127.0.0.1:1/x" })
		}, nil, inventory.ErrBusy, "at 127.0.0.1:1 (ConnectFailure), where it fetches images: open TCP 1 in the firewall"},
		"not offered": {func(c *hyperv.Config, _ *hypervisor.Image) {
			c.Offer = offered(c.Offer, func(o *hyperv.Offer) { o.URL += "x" })
		}, nil, inventory.ErrBusy, "ProtocolError"},
		"no offers":   {func(c *hyperv.Config, _ *hypervisor.Image) { c.Offer = nil }, nil, inventory.ErrUnsupported, "offers the host nothing"},
		"no disk":     {func(_ *hyperv.Config, i *hypervisor.Image) { i.Open = artefact([]byte(strings.Repeat("x", 1<<20))) }, nil, inventory.ErrInvalid, "no virtual disk"},
		"other size":  {func(_ *hyperv.Config, i *hypervisor.Image) { i.SizeBytes++ }, nil, inventory.ErrInvalid, "smaller than its record"},
		"no digest":   {func(_ *hyperv.Config, i *hypervisor.Image) { i.Digest = `sha256:..\x` }, nil, inventory.ErrInvalid, "64 hex digits"},
		"compressed":  {nil, func(h *sim.Host) { h.Squeeze() }, inventory.ErrUnsupported, "compressed or encrypted"},
		"can't write": {nil, func(h *sim.Host) { h.Lock() }, inventory.ErrDenied, "UnauthorizedAccessException"},
	} {
		t.Run(name, func(t *testing.T) {
			h := sim.New(sim.Options{})
			c, img := config(t, h, "refused"), hypervisor.Image{Digest: theDigest(), Name: "test:stable", SizeBytes: imageBytes, Open: artefact(data)}
			if test.change != nil {
				test.change(&c, &img)
			}
			d := opened(t, c)
			if test.host != nil {
				test.host(h)
			}
			err := d.EnsureImage(t.Context(), img, nil)
			if err == nil || test.class != nil && !errors.Is(err, test.class) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %v with %q", err, test.class, test.want)
			}
			if left := h.Left(); len(left) > 0 {
				t.Errorf("left %q", left)
			}
		})
	}
}

func artefact(data []byte) func(context.Context, hypervisor.Format) (hypervisor.Artefact, error) {
	return func(context.Context, hypervisor.Format) (hypervisor.Artefact, error) {
		return drivertest.Artefact(data), nil
	}
}

type offerer = func(context.Context, string, hypervisor.Artefact) (hyperv.Offer, func(), error)

// offered changes an offer.
func offered(inner offerer, change func(*hyperv.Offer)) offerer {
	return func(ctx context.Context, name string, a hypervisor.Artefact) (hyperv.Offer, func(), error) {
		o, release, err := inner(ctx, name, a)
		change(&o)
		return o, release, err
	}
}

// A file that a copy made sparse is whole again when it is finished.
func TestSparseImage(t *testing.T) {
	h, o := sim.New(sim.Options{}), newOffers(t)
	c := config(t, h, "sparse")
	c.Offer = o.offer
	d := opened(t, c)
	arrived, release := h.Hold("finishimage")
	ended := make(chan error, 1)
	go func() { ended <- d.EnsureImage(t.Context(), image(t), nil) }()
	<-arrived
	h.SetSparse(strings.TrimPrefix(h.Left()[0], "file "))
	release()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	create(t, d, spec("m-1", "one"))
}

// An image that a checkpoint, somebody else's machine or a file in our folder stands on
// stays.
func TestImageInUse(t *testing.T) {
	h := sim.New(sim.Options{})
	d := ready(t, h, "use")
	vm := create(t, d, spec("m-1", "one"))
	if err := d.CreateSnapshot(t.Context(), vm.ID, "kept"); err != nil {
		t.Fatal(err)
	}
	for _, step := range []func(){func() {}, func() { h.Unregister(vm.UUID) }} {
		step()
		if err := d.RemoveImage(t.Context(), theDigest()); !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "disk0") {
			t.Errorf("got %v, want ErrBusy with the disk", err)
		}
	}
	if err := d.Delete(t.Context(), vm.ID); err != nil {
		t.Fatal(err)
	}
	if err := d.RemoveImage(t.Context(), theDigest()); err != nil {
		t.Error(err)
	}
	if err := d.RemoveImage(t.Context(), "nonsense"); err != nil {
		t.Errorf("one that can't be: %v", err)
	}
}

// A call is over soon after its context, wherever its script is.
func TestHeldScripts(t *testing.T) {
	h := sim.New(sim.Options{})
	d := ready(t, h, "held")
	for _, script := range []string{"list", "place", "create"} {
		arrived, release := h.Hold(script)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { _, err := d.Create(ctx, spec("m-1", "one")); ended <- err }()
		<-arrived
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", script, err)
		}
		release()
	}
	create(t, d, spec("m-1", "one"))
}

// What came stays where the network is to blame, and is gone on with.
func TestFetchSurvivesTheNetwork(t *testing.T) {
	h, o := sim.New(sim.Options{}), newOffers(t)
	c := config(t, h, "network")
	c.Offer = o.offer
	d := opened(t, c)
	var answers atomic.Int64
	o.cut = func() (int64, bool) { return 2 << 20, answers.Add(1) == 1 }
	err := d.EnsureImage(t.Context(), image(t), func(hypervisor.Progress) { h.Wall(true) })
	if !errors.Is(err, inventory.ErrBusy) || len(h.Left()) != 1 || !strings.HasSuffix(h.Left()[0], ".part.vhdx") {
		t.Fatalf("got %v, left %q", err, h.Left())
	}
	h.Wall(false)
	var first int64
	err = d.EnsureImage(t.Context(), image(t), func(p hypervisor.Progress) {
		if first == 0 {
			first = p.Bytes
		}
	})
	if err != nil || answers.Load() != 2 {
		t.Errorf("%v, %d answers", err, answers.Load())
	}
}

// A fetch that fails for good takes what it fetched, and not the image that somebody else
// finished meanwhile.
func TestFetchLeavesTheImage(t *testing.T) {
	h := sim.New(sim.Options{})
	img := image(t)
	c := config(t, h, "mine")
	c.Offer = offered(c.Offer, func(o *hyperv.Offer) { o.URL += "x" })
	arrived, release := h.Hold("pull")
	ended := make(chan error, 1)
	d := opened(t, c)
	go func() { ended <- d.EnsureImage(t.Context(), img, nil) }()
	<-arrived
	h.Put(imagePath(), first(theImage()))
	release()
	if err := <-ended; err == nil {
		t.Error("no error")
	}
	if left := h.Left(); len(left) != 1 || left[0] != "file "+imagePath() {
		t.Errorf("left %q", left)
	}
}

func first[T any](v T, _ error) T { return v }

// A file that somebody else writes to while it is opened is not written to; the driver asks
// again.
func TestFetchMoved(t *testing.T) {
	h, o := sim.New(sim.Options{}), newOffers(t)
	c := config(t, h, "moved")
	c.Offer = o.offer
	d := opened(t, c)
	var answers atomic.Int64
	o.cut = func() (int64, bool) { return 1 << 20, answers.Add(1) == 1 }
	var part string
	var release func()
	var arrived <-chan struct{}
	began := false
	ended := make(chan error, 1)
	going := make(chan struct{})
	go func() {
		ended <- d.EnsureImage(t.Context(), image(t), func(hypervisor.Progress) {
			if !began {
				began = true
				part = strings.TrimPrefix(h.Left()[0], "file ")
				arrived, release = h.Pause(2) // New-Item, and then the file is opened
				close(going)
			}
		})
	}()
	<-going
	<-arrived
	h.Put(part, first(theImage())[:2<<20])
	release()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if left := h.Left(); len(left) != 1 || left[0] != "file "+imagePath() {
		t.Errorf("left %q", left)
	}
}
