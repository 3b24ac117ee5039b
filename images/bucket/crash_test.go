package bucket_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"ingot/images"
	"ingot/images/bucket"
)

// The variables with which this program is a server that puts a store into a bucket.
const (
	childStore    = "BUCKET_TEST_STORE"
	childEndpoint = "BUCKET_TEST_ENDPOINT"
)

// TestMain is the child of TestKilled too.
func TestMain(m *testing.M) {
	dir := os.Getenv(childStore)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := child(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func child(dir string) error {
	store, err := images.NewStore(dir)
	if err != nil {
		return err
	}
	s, err := bucket.Open(bucket.Options{Endpoint: os.Getenv(childEndpoint), Bucket: bucketName, Prefix: "one", Region: "us-east-1", PathStyle: true})
	if err != nil {
		return err
	}
	s.Store, s.Server, s.Name = store, "id-a", "a"
	s.Decide = func(ctx context.Context) ([]images.Decision, error) {
		return store.Decide(ctx, nil, images.Retention{KeepPerChannel: 1})
	}
	return s.Look(context.Background())
}

// TestKilled: a server that is killed while it puts an image there leaves nothing that
// others see, and goes on where it was when it is back.
func TestKilled(t *testing.T) {
	g := startGateway(t)
	dir, path := t.TempDir(), disk(t, 1, 1)
	a := openServer(t, g, "a", dir)
	a.store.Shared = nil // from before there was a bucket
	image := a.add(t, path, "1")
	a.point(t, "stable", image)

	var mu sync.Mutex
	puts := map[string]int{}
	reached, stop := make(chan struct{}), make(chan struct{})
	var stored sync.WaitGroup
	stored.Add(3)
	chunks := 0
	g.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/chunks/") {
			return false
		}
		mu.Lock()
		chunks++
		n := chunks
		if n <= 3 {
			puts[r.URL.Path]++
		}
		mu.Unlock()
		switch {
		case n <= 3:
			g.Forward(w, r)
			stored.Done()
			return true
		case n == 4:
			close(reached)
		}
		<-stop
		return true
	})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childStore+"="+dir, childEndpoint+"="+g.URL)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-reached
	stored.Wait()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	close(stop)
	g.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/chunks/") {
			mu.Lock()
			puts[r.URL.Path]++
			mu.Unlock()
		}
		return false
	})
	left := len(objects(t, g, "chunks"))
	b := newServer(t, g, "b")
	b.look(t)
	if list, err := b.List(t.Context()); err != nil || len(list) != 0 || left == 0 {
		t.Errorf("half an image is seen: %v, %v; %d chunks", list, err, left)
	}

	a = openServer(t, g, "a", dir)
	a.look(t)
	b.look(t)
	if got := b.channel(t, "stable"); got != image.Digest {
		t.Fatalf("channel at b: %q", got)
	}
	if string(b.disk(t, image.Digest)) != string(read(t, path)) {
		t.Error("the disk at b has other bytes")
	}
	mu.Lock()
	defer mu.Unlock()
	twice := 0
	for _, n := range puts {
		twice += n - 1
	}
	// Requests that went through as the server was killed were answered to nobody.
	if present := len(objects(t, g, "chunks")); twice > present-left || len(puts) != present {
		t.Errorf("%d chunks were put twice of %d, %d were there", twice, present, left)
	}
}
