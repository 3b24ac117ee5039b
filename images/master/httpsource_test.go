package master_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ingot/images/master"
)

func TestHTTPSource(t *testing.T) {
	disk := testDisk(t)
	m, data := pack(t, disk)
	var mu sync.Mutex
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		requests++
		n := requests
		mu.Unlock()
		switch {
		case r.URL.Path == "/forbidden":
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Path == "/whole":
			w.Write(data)
		case n%3 == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		}
	}))
	defer server.Close()
	target, path := newDevice(t, int64(len(disk)))
	p, err := apply(t, m, master.HTTPSource{URL: server.URL + "/data"}, target, master.ApplyOptions{RangeBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	wantDisk(t, path, disk)
	if p.Retries == 0 {
		t.Error("no retry counted")
	}
	for _, path := range []string{"/forbidden", "/whole"} {
		var permanent *master.PermanentError
		if _, err := apply(t, m, master.HTTPSource{URL: server.URL + path}, target, master.ApplyOptions{}); !errors.As(err, &permanent) {
			t.Errorf("%s: got %v, want a permanent error", path, err)
		}
	}
}

// TestApplyFollows has the frames made anew after the first ranges came: what comes
// after them is asked for where it is now.
func TestApplyFollows(t *testing.T) {
	disk := testDisk(t)
	m, data := pack(t, disk)
	var anew bytes.Buffer
	if _, err := master.Write(context.Background(), bytes.NewReader(disk), int64(len(disk)), &anew,
		master.WriteOptions{Traits: testTraits(), ChunkBytes: 512 << 10, Uncompressed: true}); err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int32
	var refused atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, tag := data, `"first"`
		if requests.Add(1) > 3 {
			file, tag = anew.Bytes(), `"second"`
		}
		if match := r.Header.Get("If-Match"); match != "" && match != tag {
			refused.Add(1)
		}
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
	}))
	defer server.Close()
	target, path := newDevice(t, int64(len(disk)))
	p, err := apply(t, m, master.HTTPSource{URL: server.URL}, target, master.ApplyOptions{RangeBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	wantDisk(t, path, disk)
	if refused.Load() == 0 || p.Refetched > 0 || p.Retries > 0 {
		t.Errorf("%d requests were refused, progress %+v", refused.Load(), p)
	}
}

// TestApplyLosesPatience has a server that never stays with a layout.
func TestApplyLosesPatience(t *testing.T) {
	disk := testDisk(t)
	m, data := pack(t, disk)
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, requests.Add(1)))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}))
	defer server.Close()
	target, _ := newDevice(t, int64(len(disk)))
	if _, err := apply(t, m, master.HTTPSource{URL: server.URL}, target, master.ApplyOptions{}); !errors.Is(err, master.ErrMoved) {
		t.Errorf("%v, want ErrMoved", err)
	}
}

func TestApplyStall(t *testing.T) {
	disk := testDisk(t)
	m, data := pack(t, disk)
	release := make(chan struct{})
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stalled := false
		once.Do(func() { stalled = true })
		if stalled {
			<-release
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}))
	defer server.Close()
	defer close(release)
	target, path := newDevice(t, int64(len(disk)))
	p, err := apply(t, m, master.HTTPSource{URL: server.URL}, target, master.ApplyOptions{Stall: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	wantDisk(t, path, disk)
	if p.Retries != 1 {
		t.Errorf("%d retries, want 1", p.Retries)
	}
}
