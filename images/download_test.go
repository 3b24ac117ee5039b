package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/images/master"
	"ingot/inventory"
)

// cuts is a server that breaks each answer after some bytes.
type cuts struct {
	content []byte
	after   int
	tag     func(request int) string
	plain   bool // no ranges
	asked   []string
}

func (c *cuts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.asked = append(c.asked, r.Header.Get("Range"))
	if c.tag != nil {
		w.Header().Set("ETag", c.tag(len(c.asked)))
	}
	limited := &cutWriter{w, c.after}
	if c.plain {
		w.Header().Set("Content-Length", fmt.Sprint(len(c.content)))
		_, _ = limited.Write(c.content) // the cut panics
		return
	}
	http.ServeContent(limited, r, "", time.Time{}, bytes.NewReader(c.content))
}

// cutWriter ends the connection after so many bytes.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (w *cutWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p[:min(len(p), w.left)])
	if w.left -= n; w.left == 0 && n < len(p) {
		w.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func TestDownload(t *testing.T) {
	content := make([]byte, 1<<20)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range content {
		content[i] = byte(rng.Uint32())
	}
	right, wrong := master.DigestOf(content), master.DigestOf(nil)
	steady := func(int) string { return `"v1"` }
	for _, test := range []struct {
		name    string
		server  cuts
		want    master.Digest
		problem string
		asked   int
	}{
		{"whole", cuts{after: 2 << 20, tag: steady}, right, "", 1},
		{"cut three times", cuts{after: 300 << 10, tag: steady}, right, "", 4},
		{"no hash", cuts{after: 300 << 10, tag: steady}, master.Digest{}, "", 4},
		{"wrong hash", cuts{after: 2 << 20, tag: steady}, wrong, "SHA-256", 1},
		{"changed meanwhile", cuts{after: 700 << 10, tag: func(n int) string { return fmt.Sprintf("%q", fmt.Sprint(min(n, 2))) }}, right, "", 3},
		{"no validator, whole", cuts{after: 2 << 20, plain: true}, right, "", 1},
		{"no validator, always cut", cuts{after: 300 << 10, plain: true}, right, "given up", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.server.content = content
			server := httptest.NewServer(&test.server)
			defer server.Close()
			path := filepath.Join(t.TempDir(), "file")
			err := download{pause: time.Millisecond}.fetch(t.Context(), server.URL+"/disk?token=hidden", path, test.want)
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) || strings.Contains(err.Error(), "hidden") {
					t.Errorf("got %v, want one that says %q", err, test.problem)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v; asked %v", err, test.server.asked)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
				t.Errorf("other bytes: %v", err)
			}
			if len(test.server.asked) != test.asked {
				t.Errorf("asked %q, want %d requests", test.server.asked, test.asked)
			}
		})
	}
}

func TestDownloadRefuses(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/loop", http.RedirectHandler("/loop?secret=hidden", http.StatusFound))
	mux.HandleFunc("/range", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes 5-9/10")
		w.WriteHeader(http.StatusPartialContent)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	gone := httptest.NewServer(mux)
	gone.Close()
	withUser := func(url string) string { return strings.Replace(url, "http://", "http://ann:hidden@", 1) }
	for url, words := range map[string]string{
		withUser(server.URL) + "/none?key=hidden": "404",
		server.URL + "/loop":                      "redirects",
		server.URL + "/range":                     "answers with range",
		withUser(gone.URL) + "/x":                 "refused",
		"http://ann:hidden@[bad/":                 "not valid",
	} {
		store, err := NewStore(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "file")
		err = download{pause: time.Millisecond}.fetch(t.Context(), url, path, master.Digest{})
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v, want one that says %q", url, err, words)
		}
		if words == "refused" {
			continue // it would be tried for a while
		}
		_, err = store.Import(context.Background(), url, ImportOptions{Name: "a"})
		if !errors.Is(err, inventory.ErrInvalid) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("import %s: %v", url, err)
		}
	}
}
