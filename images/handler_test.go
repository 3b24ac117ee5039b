package images_test

import (
	"bytes"
	"context"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/images"
	"ingot/images/master"
)

// TestHandlerServesAsServeContent compares every answer with http.ServeContent's of the
// same bytes in one piece.
func TestHandlerServesAsServeContent(t *testing.T) {
	store, _ := newStore(t)
	image, err := store.Import(t.Context(), rawDisk(t, 20), options())
	if err != nil {
		t.Fatal(err)
	}
	m, err := store.Open(image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	whole := make([]byte, m.Data.Size())
	if _, err := m.Data.ReadAt(whole, 0); err != nil {
		t.Fatal(err)
	}
	frame := m.Layout().Frame(1)
	tag := `"` + image.Digest[7:] + "-" + m.Layout().Tag() + `"`
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	reference := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/zstd")
		w.Header().Set("ETag", tag)
		w.Header().Set("Cache-Control", "private, no-cache")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(whole))
	}))
	defer reference.Close()
	server := httptest.NewServer(store.Handler())
	defer server.Close()
	n := len(whole)
	for _, test := range []struct {
		method string
		header http.Header
	}{
		{"GET", nil},
		{"HEAD", nil},
		{"GET", http.Header{"Range": {"bytes=0-0"}}},
		{"GET", http.Header{"Range": {"bytes=100-"}}},
		{"HEAD", http.Header{"Range": {"bytes=100-199"}}},
		{"GET", http.Header{"Range": {"bytes=-50"}}},
		{"GET", http.Header{"Range": {rangeOf(frame.Offset, frame.End()-1)}}},
		{"GET", http.Header{"Range": {rangeOf(frame.Offset-7, frame.End()+7)}}},
		{"GET", http.Header{"Range": {rangeOf(0, int64(n)-2)}}},
		{"GET", http.Header{"Range": {rangeOf(int64(n)-1, int64(n)+100)}}},
		{"GET", http.Header{"Range": {rangeOf(int64(n), int64(n)+100)}}},
		{"GET", http.Header{"Range": {"bytes=5-2"}}},
		{"GET", http.Header{"Range": {"lines=5-7"}}},
		{"GET", http.Header{"Range": {"bytes=0-99,200-299,-10"}}},
		{"GET", http.Header{"Range": {"bytes=10-19"}, "If-Range": {tag}}},
		{"GET", http.Header{"Range": {"bytes=10-19"}, "If-Range": {`"other"`}}},
		{"GET", http.Header{"If-None-Match": {tag}}},
		{"GET", http.Header{"If-None-Match": {`"other"`}}},
		{"GET", http.Header{"If-Match": {`"other"`}}},
		{"GET", http.Header{"Range": {"bytes=10-19"}, "If-Match": {tag}}},
	} {
		want := answer(t, test.method, reference.URL, test.header)
		got := answer(t, test.method, server.URL+"/images/"+image.Digest+"/data", test.header)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %v (-ServeContent +store):\n%s", test.method, test.header, diff[:min(len(diff), 2000)])
		}
	}
}

func rangeOf(first, last int64) string {
	return "bytes=" + strconv.FormatInt(first, 10) + "-" + strconv.FormatInt(last, 10)
}

// reply is what of an answer is compared.
type reply struct {
	Status int
	Header http.Header
	Body   string
	Parts  []reply
}

func answer(t *testing.T, method, url string, header http.Header) reply {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for key, values := range header {
		req.Header[key] = values
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := reply{Status: resp.StatusCode, Header: resp.Header}
	r.Header.Del("Date")
	kind, params, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind == "multipart/byteranges" {
		r.Header.Del("Content-Type") // a random boundary
		parts := multipart.NewReader(resp.Body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err == io.EOF {
				return r
			}
			if err != nil {
				t.Fatal(err)
			}
			r.Parts = append(r.Parts, reply{Header: http.Header(p.Header), Body: read(t, p)})
		}
	}
	r.Body = read(t, resp.Body)
	return r
}

func read(t *testing.T, from io.Reader) string {
	t.Helper()
	body, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestHandlerCutsShort serves an image whose pack is cut short while it is served.
func TestHandlerCutsShort(t *testing.T) {
	store, dir := newStore(t)
	image, err := store.Import(t.Context(), rawDisk(t, 21), options())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(store.Handler())
	defer server.Close()
	url := server.URL + "/images/" + image.Digest + "/data"
	answer(t, "GET", url, nil)
	if err := os.Truncate(somePack(t, dir), 1000); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("%d bytes came without an error", n)
	}
	again, err := images.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	fresh := httptest.NewServer(again.Handler())
	defer fresh.Close()
	if r := answer(t, "GET", fresh.URL+"/images/"+image.Digest+"/data", nil); r.Status != http.StatusInternalServerError || !strings.Contains(r.Body, "which has 1000 bytes") {
		t.Errorf("an image that lacks a chunk: %d %s", r.Status, r.Body)
	}
}

func TestHandler(t *testing.T) {
	store, _ := newStore(t)
	image, err := store.Import(context.Background(), rawDisk(t, 6), options())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(store.Handler())
	defer server.Close()
	get := func(path string) (int, []byte) {
		t.Helper()
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, body
	}
	code, document := get("/images/" + image.Digest + "/manifest.json")
	if code != http.StatusOK {
		t.Fatalf("manifest: %d", code)
	}
	digest, err := master.ParseDigest(image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := master.ParseManifestDigest(document, digest)
	if err != nil {
		t.Fatal(err)
	}
	target, err := master.CreateFile(filepath.Join(t.TempDir(), "disk"), manifest.LogicalBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	source := master.HTTPSource{URL: server.URL + "/images/" + image.Digest + "/data"}
	if _, err := master.Apply(context.Background(), manifest, source, target, master.ApplyOptions{}); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]int{
		"/images/sha256:00/data":                                      http.StatusBadRequest,
		"/images/" + master.DigestOf(nil).String() + "/data":          http.StatusNotFound,
		"/images/" + image.Digest + "/image.json":                     http.StatusNotFound,
		"/images/..%2f..%2fetc/data":                                  http.StatusBadRequest,
		"/images/" + master.DigestOf(nil).String() + "/manifest.json": http.StatusNotFound,
	} {
		if code, _ := get(path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
}
