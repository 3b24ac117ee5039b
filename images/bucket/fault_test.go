package bucket_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"ingot/images/bucket"
	"ingot/images/bucket/buckettest"
	"ingot/inventory"
)

// TestDamagedChunk: a flipped byte in the bucket is found and said, nothing is kept of it,
// and a server that has the chunk mends it.
func TestDamagedChunk(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a"), newServer(t, g, "b")
	image := a.add(t, disk(t, 1, 1), "1")
	a.point(t, "stable", image)
	for key := range objects(t, g, "chunks") {
		path := filepath.Join(g.Dir, bucketName, "one", key)
		data := read(t, path)
		data[len(data)/2] ^= 1
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		break
	}
	err := b.Look(t.Context())
	if !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), "is damaged") || !strings.Contains(err.Error(), "channel web:stable stays at nothing") {
		t.Errorf("look at a damaged chunk: %v", err)
	}
	if list, err := b.store.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("b has %v, %v", list, err)
	}
	a.look(t)
	b.look(t)
	if got := b.channel(t, "stable"); got != image.Digest {
		t.Errorf("after it was mended the channel at b is %q", got)
	}
	if left := objects(t, g, "damaged"); len(left) != 0 {
		t.Errorf("still damaged: %v", left)
	}
}

// TestFaults: what goes wrong is said with what to do; a channel stays, and all is well
// when the fault is gone.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(w http.ResponseWriter, r *http.Request) bool
		class error
		say   string
	}{
		"gone": {func(w http.ResponseWriter, _ *http.Request) bool { buckettest.Cut(w); return true }, bucket.ErrUnreachable, "can't be reached"},
		"busy": {func(w http.ResponseWriter, _ *http.Request) bool { buckettest.Fail(w, 503, "SlowDown"); return true }, bucket.ErrUnreachable, "503 SlowDown"},
		"denied": {func(w http.ResponseWriter, _ *http.Request) bool {
			buckettest.Fail(w, 403, "AccessDenied")
			return true
		}, inventory.ErrDenied, "get, put and delete"},
		"full": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/chunks/") {
				return false
			}
			buckettest.Fail(w, 507, "XMinioStorageFull")
			return true
		}, inventory.ErrConflict, "disks are full"},
		"quota": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/chunks/") {
				return false
			}
			buckettest.Fail(w, 403, "QuotaExceeded")
			return true
		}, inventory.ErrConflict, "the bucket is full: remove images (ingot image gc)"},
	} {
		t.Run(name, func(t *testing.T) {
			g := startGateway(t)
			a, b := newServer(t, g, "a"), newServer(t, g, "b")
			first := a.add(t, disk(t, 1, 1), "1")
			a.point(t, "stable", first)
			second := a.add(t, disk(t, 1, 2), "2")
			g.Intercept(c.fault)
			_, err := a.store.MoveChannel(t.Context(), "web", "stable", second.Digest, "test")
			if !errors.Is(err, c.class) || !strings.Contains(fmt.Sprint(err), c.say) {
				t.Errorf("move: %v, want %q", err, c.say)
			}
			if strings.Contains(fmt.Sprint(err), buckettest.AccessKey) || strings.Contains(fmt.Sprint(err), buckettest.SecretKey) {
				t.Errorf("the error tells a key: %v", err)
			}
			if got := a.channel(t, "stable"); got != first.Digest {
				t.Errorf("the channel moved here alone: %s", got)
			}
			g.Intercept(nil)
			a.point(t, "stable", second)
			b.look(t)
			if got := b.channel(t, "stable"); got != second.Digest {
				t.Errorf("channel at b: %q, want %s", got, second.Digest)
			}
		})
	}
}

// TestAnswerLost: a move whose answer is lost has happened, and is no conflict.
func TestAnswerLost(t *testing.T) {
	g := startGateway(t)
	a := newServer(t, g, "a")
	image := a.add(t, disk(t, 1, 1), "1")
	var cut atomic.Bool
	g.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/channels/") && !cut.Swap(true) {
			g.Forward(discard{http.Header{}}, r)
			buckettest.Cut(w)
		}
		return false
	})
	a.point(t, "stable", image)
	if moves, err := a.store.History(t.Context(), "web"); err != nil || len(moves) != 1 || !cut.Load() {
		t.Errorf("history %v, %v; cut %v", moves, err, cut.Load())
	}
}

// discard is a ResponseWriter that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
