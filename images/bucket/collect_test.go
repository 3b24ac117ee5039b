package bucket_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/images"
	"ingot/images/bucket/buckettest"
	"ingot/inventory"
)

// strict keeps nothing for its age.
func (s *server) strict() *server {
	s.keep = images.Retention{KeepPerChannel: 1}
	s.Retention = s.keep
	return s
}

// collect plans and collects in the bucket, and returns the decisions by version.
func (s *server) collect(t *testing.T) map[string]string {
	t.Helper()
	plan, err := s.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Collect(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, d := range plan {
		why, _, _ := strings.Cut(d.Why, ": 1")
		all[d.Image.Version] = why
	}
	return all
}

// clean removes from the store what its rules let go.
func (s *server) clean(t *testing.T) {
	t.Helper()
	plan, err := s.store.Plan(t.Context(), s.uses, s.keep)
	if err == nil {
		_, err = s.store.Collect(t.Context(), plan)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// fetches checks that a server which has nothing gets the image whole.
func fetches(t *testing.T, g *buckettest.Gateway, image inventory.Image, want string) {
	t.Helper()
	fresh := newServer(t, g, "fresh-"+image.Version)
	if _, err := fresh.Fetch(t.Context(), image.Digest, nil); err != nil {
		t.Fatal(err)
	}
	if string(fresh.disk(t, image.Digest)) != string(read(t, want)) {
		t.Errorf("version %s has other bytes", image.Version)
	}
}

// TestCollect: nothing goes that a channel or another server has; what goes takes its
// chunks along and nobody else's.
func TestCollect(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a").strict(), newServer(t, g, "b").strict()
	first := a.add(t, disk(t, 1, 1), "1")
	a.point(t, "stable", first)
	b.look(t)
	b.uses = []images.Use{{Digest: first.Digest, By: "machine db"}}
	b.look(t)
	path := disk(t, 1, 2)
	second := a.add(t, path, "2")
	a.point(t, "stable", second)
	a.clean(t)
	b.look(t)
	b.look(t) // its record is of before it followed

	want := map[string]string{"1": "server b: machine db has it", "2": "channel web:stable points to it"}
	if d := cmp.Diff(want, a.collect(t)); d != "" {
		t.Errorf("decisions while b has it (-want +got):\n%s", d)
	}
	before := total(objects(t, g, "chunks"))
	b.uses = nil
	b.look(t)
	want["1"] = "no channel points to it and no server has it"
	if d := cmp.Diff(want, a.collect(t)); d != "" {
		t.Errorf("decisions when nobody has it (-want +got):\n%s", d)
	}
	if freed := before - total(objects(t, g, "chunks")); freed < 1<<20 || freed > 4<<20 {
		t.Errorf("%d bytes of chunks went, want those of version 1 alone", freed)
	}
	if left := objects(t, g, "blobs"); len(left) != 3 {
		t.Errorf("objects of images: %v, want those of version 2", left)
	}
	fetches(t, g, second, path)
	// What b has still and does not keep is not put there again.
	b.look(t)
	if list, err := b.List(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("images in the bucket: %v, %v", list, err)
	}
}

// TestCollectWhilePutting: chunks that an image under way counts on stay.
func TestCollectWhilePutting(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a").strict(), newServer(t, g, "b").strict()
	old := a.add(t, disk(t, 1, 1), "1")
	a.point(t, "stable", old)
	other := a.add(t, disk(t, 9, 1), "9")
	a.point(t, "stable", other)
	a.clean(t) // version 1 is only in the bucket now

	path := disk(t, 1, 2)
	image := b.add(t, path, "2")
	putting, collected := make(chan struct{}), make(chan struct{})
	var once sync.Once
	g.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/chunks/") {
			once.Do(func() { close(putting) })
			<-collected
		}
		return false
	})
	moved := make(chan error)
	go func() {
		_, err := b.store.MoveChannel(t.Context(), "web", "next", image.Digest, "test")
		moved <- err
	}()
	<-putting
	got := a.collect(t)
	if !strings.HasPrefix(got["1"], "no channel points to it") {
		t.Errorf("version 1: %s", got["1"])
	}
	close(collected)
	if err := <-moved; err != nil {
		t.Fatal(err)
	}
	fetches(t, g, image, path)
}

// TestPutWhileCollecting: who puts an image waits until a collection is over.
func TestPutWhileCollecting(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a").strict(), newServer(t, g, "b").strict()
	old := a.add(t, disk(t, 1, 1), "1")
	a.point(t, "stable", old)
	a.point(t, "stable", a.add(t, disk(t, 9, 1), "9"))
	a.clean(t)
	path := disk(t, 1, 2)
	image := b.add(t, path, "2")

	removing, waiting := make(chan struct{}), make(chan struct{})
	again := make(chan time.Time)
	var once, wait sync.Once
	b.After = func(time.Duration) <-chan time.Time {
		wait.Do(func() { close(waiting) })
		return again
	}
	g.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if _, ok := r.URL.Query()["delete"]; ok {
			once.Do(func() { close(removing) })
			<-waiting
		}
		return false
	})
	plan, err := a.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	collected, moved := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := a.Collect(t.Context(), plan)
		collected <- err
	}()
	<-removing
	// Another server does not collect meanwhile.
	if _, err := b.Collect(t.Context(), nil); !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "server a collects") {
		t.Errorf("a second collection: %v", err)
	}
	go func() {
		_, err := b.store.MoveChannel(t.Context(), "web", "next", image.Digest, "test")
		moved <- err
	}()
	if err := <-collected; err != nil {
		t.Fatal(err)
	}
	again <- time.Now()
	if err := <-moved; err != nil {
		t.Fatal(err)
	}
	fetches(t, g, image, path)
}

// TestDeadCollector: a collection whose server died stops nobody for long.
func TestDeadCollector(t *testing.T) {
	g := startGateway(t)
	a := newServer(t, g, "a")
	a.look(t)
	until := time.Now().Add(10 * time.Minute).UTC().Format(time.RFC3339)
	text := `{"server":"id-dead","name":"dead","until":"` + until + `"}`
	if err := os.WriteFile(filepath.Join(g.Dir, bucketName, "one", "collecting.json"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	a.ahead.Store(int64(12 * time.Minute))
	a.point(t, "stable", a.add(t, disk(t, 1, 1), "1"))
	a.collect(t)
	if left := objects(t, g, "collecting.json"); len(left) != 0 {
		t.Errorf("still collecting: %v", left)
	}
}

// TestForgottenServer: what a server has that was silent for long goes; when it is back it
// brings it again.
func TestForgottenServer(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a").strict(), newServer(t, g, "b").strict()
	path := disk(t, 1, 1)
	image := b.add(t, path, "1")
	b.uses = []images.Use{{Digest: image.Digest, By: "machine db"}}
	b.look(t)
	a.ahead.Store(int64(23 * time.Hour))
	if got := a.collect(t)["1"]; got != "server b: machine db has it" {
		t.Errorf("after 23 hours: %s", got)
	}
	a.ahead.Store(int64(25 * time.Hour))
	if got := a.collect(t)["1"]; !strings.HasPrefix(got, "no channel points to it") {
		t.Errorf("after 25 hours: %s", got)
	}
	b.look(t)
	fetches(t, g, image, path)
}

// TestUnreadable: what can't be understood in the bucket stops a collection, and nothing
// goes.
func TestUnreadable(t *testing.T) {
	for name, text := range map[string]string{
		"servers/id-x.json": "{", "servers/id-c.json": `{"server":"id-d"}`, "channels/web.json": `{"channels":[{"channel":"stable","digest":"../x"}]}`,
		"blobs/sha256/HEX/manifest.json": "{}", "blobs/sha256/HEX/image.json": "[",
	} {
		t.Run(name, func(t *testing.T) {
			g := startGateway(t)
			a, b := newServer(t, g, "a").strict(), newServer(t, g, "b").strict()
			image := a.add(t, disk(t, 1, 1), "1")
			a.point(t, "stable", image)
			path := strings.Replace(name, "HEX", strings.TrimPrefix(image.Digest, "sha256:"), 1)
			before := objects(t, g, "chunks")
			if err := os.WriteFile(filepath.Join(g.Dir, bucketName, "one", path), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := b.Plan(t.Context())
			if !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), filepath.Base(path)) {
				t.Errorf("plan: %v, want one that names %s", err, path)
			}
			if _, err := b.Collect(t.Context(), []images.Decision{{Image: image}}); err == nil {
				t.Error("collected")
			}
			if d := cmp.Diff(before, objects(t, g, "chunks")); d != "" {
				t.Errorf("chunks (-before +after):\n%s", d)
			}
			if left := objects(t, g, "collecting.json"); len(left) != 0 {
				t.Error("still collecting")
			}
		})
	}
}
