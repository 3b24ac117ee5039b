package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/images"
	"ingot/images/bucket/buckettest"
	"ingot/images/master"
	"ingot/inventory"
)

func TestTwoServers(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a"), newServer(t, g, "b")
	one := disk(t, 1, 1)
	first := a.add(t, one, "1")
	a.point(t, "stable", first)
	before := total(objects(t, g, "chunks"))

	b.look(t)
	if got := b.channel(t, "stable"); got != first.Digest {
		t.Fatalf("channel at b: %q, want %s", got, first.Digest)
	}
	if got := b.disk(t, first.Digest); string(got) != string(read(t, one)) {
		t.Error("the disk at b has other bytes")
	}
	if d := cmp.Diff([]string{"web:stable test"}, b.followed); d != "" {
		t.Errorf("followed at b (-want +got):\n%s", d)
	}

	// A second version costs what changed, on the line and in the bucket.
	second := b.add(t, disk(t, 1, 2), "2")
	b.point(t, "stable", second)
	if grew := total(objects(t, g, "chunks")) - before; grew < 1<<20 || grew > 4<<20 {
		t.Errorf("the second version costs %d bytes of %d, want its difference", grew, before)
	}
	pulled := a.Stats.PulledBytes.Load()
	a.look(t)
	if got := a.channel(t, "stable"); got != second.Digest {
		t.Errorf("channel at a: %q, want %s", got, second.Digest)
	}
	if got := a.Stats.PulledBytes.Load() - pulled; got > 4<<20 {
		t.Errorf("a fetched %d bytes, want the difference", got)
	}

	// What is added later goes both ways, and the history is one.
	test := inventory.ImageTest{ID: "boot-1", Mode: "bios", Passed: true, Started: time.Now().UTC().Truncate(time.Second)}
	console := filepath.Join(t.TempDir(), "console.log")
	if err := os.WriteFile(console, []byte("login:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.store.AddTest(t.Context(), second.Digest, test, map[string]string{"console.log": console}),
		a.store.PutSignature(t.Context(), second.Digest, "KEY", []byte("signature"))); err != nil {
		t.Fatal(err)
	}
	b.look(t)
	a.look(t)
	b.look(t)
	ours, err := a.store.Get(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := b.store.Get(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(theirs, ours); d != "" || len(ours.Tests) != 1 || len(ours.Signers) != 1 {
		t.Errorf("the image at b and a (-b +a):\n%s\n%+v", d, ours)
	}
	left, err := a.store.History(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	right, err := b.store.History(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(left, right); d != "" || len(left) != 2 {
		t.Errorf("history at a and b (-a +b):\n%s\n%+v", d, left)
	}
}

// TestRun: what others did is seen when the interval is over, and when somebody wakes it.
func TestRun(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a"), newServer(t, g, "b")
	ticks, looked := make(chan time.Time), make(chan struct{})
	b.After = func(d time.Duration) <-chan time.Time {
		if d != b.Interval {
			t.Errorf("waits %s, want %s", d, b.Interval)
		}
		looked <- struct{}{}
		return ticks
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	<-looked
	for i, again := range []func(){func() { ticks <- time.Now() }, b.Wake} {
		image := a.add(t, disk(t, 1, byte(i)), fmt.Sprint(i))
		a.point(t, "stable", image)
		again()
		<-looked
		if got := b.channel(t, "stable"); got != image.Digest {
			t.Errorf("channel at b: %q, want %s", got, image.Digest)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestNothingTwice: what is there is not put again, by whoever.
func TestNothingTwice(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a"), newServer(t, g, "b")
	a.point(t, "stable", a.add(t, disk(t, 1, 1), "1"))
	a.look(t)
	b.look(t)
	puts := count(g, func(r *http.Request) bool { return r.Method == http.MethodPut })
	a.look(t)
	b.look(t)
	if n := puts.Load(); n != 0 {
		t.Errorf("%d objects were put by a look at what is the same", n)
	}
}

// TestPutCompressed: an image whose compression was left for later goes into the bucket
// compressed, and comes out of it whole.
func TestPutCompressed(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a"), newServer(t, g, "b")
	const size = 8 << 20
	path := filepath.Join(t.TempDir(), "text.raw")
	if err := os.WriteFile(path, bytes.Repeat([]byte("sixteen letters "), size/16), 0o600); err != nil {
		t.Fatal(err)
	}
	image, err := a.store.Import(t.Context(), path, images.ImportOptions{Name: "web", Version: "1", Format: images.FormatRaw, Later: true,
		Traits: master.Traits{SectorBytes: 512, FirstBoot: master.FirstBootNone}})
	if err != nil {
		t.Fatal(err)
	}
	if waits, err := a.store.Uncompressed(); err != nil || !waits {
		t.Fatalf("left for later: %v, %v", waits, err)
	}
	a.point(t, "stable", image)
	a.look(t)
	if put := total(objects(t, g, "")); put > size/10 {
		t.Errorf("%d bytes went into the bucket, the disk has %d", put, size)
	}
	b.look(t)
	if !bytes.Equal(b.disk(t, image.Digest), read(t, path)) {
		t.Error("the disk differs")
	}
}

func count(g *buckettest.Gateway, which func(*http.Request) bool) *atomic.Int64 {
	n := new(atomic.Int64)
	g.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if which(r) {
			n.Add(1)
		}
		return false
	})
	return n
}

// TestMoveAtOnce: of two that move a channel at once one gets a conflict, and nobody's
// move is lost.
func TestMoveAtOnce(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a"), newServer(t, g, "b")
	base := a.add(t, disk(t, 1, 1), "1")
	a.point(t, "stable", base)
	b.look(t)
	images := map[*server]inventory.Image{a: a.add(t, disk(t, 1, 2), "2"), b: b.add(t, disk(t, 1, 3), "3")}

	// Both have read the channel before either writes it.
	var reads atomic.Int64
	both := make(chan struct{})
	g.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/channels/") {
			if reads.Add(1) == 2 {
				close(both)
			}
			<-both
		}
		return false
	})
	type outcome struct {
		s   *server
		err error
	}
	done := make(chan outcome)
	for s, image := range images {
		go func() {
			_, err := s.store.MoveChannel(t.Context(), "web", "stable", image.Digest, "race")
			done <- outcome{s, err}
		}()
	}
	var won, lost *server
	for range 2 {
		switch o := <-done; {
		case o.err == nil:
			won = o.s
		case errors.Is(o.err, inventory.ErrConflict) && strings.Contains(o.err.Error(), "moved web:stable to sha256:"):
			lost = o.s
		default:
			t.Errorf("move: %v", o.err)
		}
	}
	if won == nil || lost == nil {
		t.Fatalf("won: %v, lost: %v", won, lost)
	}
	if got := lost.channel(t, "stable"); got != base.Digest {
		t.Errorf("who lost has %s, want %s until it looks", got, base.Digest)
	}
	// Having seen it, it may.
	lost.look(t)
	if got := lost.channel(t, "stable"); got != images[won].Digest {
		t.Errorf("who lost follows to %s, want %s", got, images[won].Digest)
	}
	lost.point(t, "stable", images[lost])
	won.look(t)
	if got := won.channel(t, "stable"); got != images[lost].Digest {
		t.Errorf("who won follows to %s, want %s", got, images[lost].Digest)
	}
}

// TestOtherChannels: moves of different channels of a name don't disturb each other.
func TestOtherChannels(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a"), newServer(t, g, "b")
	base := a.add(t, disk(t, 1, 1), "1")
	a.point(t, "stable", base)
	b.look(t)
	done := make(chan error)
	for s, channels := range map[*server][]string{a: {"c1", "c2", "c3"}, b: {"d1", "d2", "d3"}} {
		go func() {
			var errs []error
			for _, c := range channels {
				_, err := s.store.MoveChannel(t.Context(), "web", c, base.Digest, "race")
				errs = append(errs, err)
			}
			done <- errors.Join(errs...)
		}()
	}
	if err := errors.Join(<-done, <-done); err != nil {
		t.Fatal(err)
	}
	a.look(t)
	b.look(t)
	for _, s := range []*server{a, b} {
		all, err := s.store.Channels(t.Context())
		if err != nil || len(all) != 7 {
			t.Errorf("channels: %v, %v, want 7", all, err)
		}
	}
}
