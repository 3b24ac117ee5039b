package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// cpioEntry is a file of a test's archive.
type cpioEntry struct {
	name string
	mode uint32
	data string
}

func newcArchive(entries ...cpioEntry) []byte {
	var b bytes.Buffer
	for _, e := range append(entries, cpioEntry{name: newcTrailer}) {
		fmt.Fprintf(&b, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 0, e.mode, 0, 0, 1, 0, len(e.data), 0, 0, 0, 0, len(e.name)+1, 0)
		b.WriteString(e.name + "\x00")
		for b.Len()%4 != 0 {
			b.WriteByte(0)
		}
		b.WriteString(e.data)
		for b.Len()%4 != 0 {
			b.WriteByte(0)
		}
	}
	return b.Bytes()
}

func pack(t testing.TB, archive []byte) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return enc.EncodeAll(archive, nil)
}

const modulesDir = "lib/modules/6.1.0-1-amd64"

const hbaModule = modulesDir + "/kernel/hba.ko"

// testParts are the parts of a second stage: the tables, a module with firmware, one
// without.
func testParts(t testing.TB) (files []string, parts [][]byte) {
	return []string{"", hbaModule, modulesDir + "/kernel/scsi-mod.ko"}, [][]byte{
		pack(t, newcArchive(
			cpioEntry{modulesDir + "/modules.dep", 0o100644, "kernel/hba.ko: kernel/scsi-mod.ko\nkernel/scsi-mod.ko:\nkernel/first.ko:\n"},
			cpioEntry{modulesDir + "/modules.alias", 0o100644, "alias pci:v00001000d*sv*sd*bc*sc*i* hba\n"},
			cpioEntry{modulesDir + "/modules.softdep", 0o100644, "softdep hba pre: first post: last\n"})),
		pack(t, newcArchive(
			cpioEntry{"lib", 0o040755, ""}, cpioEntry{"lib/firmware", 0o040755, ""},
			cpioEntry{"lib/firmware/hba.bin", 0o100644, "firmware"}, cpioEntry{"lib/firmware/hba-old.bin", 0o120777, "hba.bin"},
			cpioEntry{hbaModule, 0o100644, "\x7fELF hba"})),
		pack(t, newcArchive(cpioEntry{modulesDir + "/kernel/scsi-mod.ko", 0o100644, "\x7fELF scsi"})),
	}
}

// stageRoot is a first stage's root that vouches for the parts.
func stageRoot(t testing.TB, files []string, parts [][]byte) string {
	t.Helper()
	root := t.TempDir()
	var all Stage
	offset := int64(0)
	for i, p := range parts {
		sum := sha256.Sum256(p)
		all.Parts = append(all.Parts, StagePart{File: files[i], Offset: offset, SizeBytes: int64(len(p)), SHA256: hex.EncodeToString(sum[:])})
		offset += int64(len(p))
	}
	text, err := json.Marshal(all)
	if err == nil {
		err = os.MkdirAll(filepath.Join(root, "etc/ingot"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(root, stageFile), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// cutter serves data, but cuts its first answers after some bytes.
type cutter struct {
	data []byte
	// cuts is how many answers are cut, after so many bytes.
	cuts, after int
	ranges      []string
}

func (c *cutter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.ranges = append(c.ranges, r.Header.Get("Range"))
	if c.cuts > 0 {
		c.cuts--
		w = &short{ResponseWriter: w, left: c.after}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(c.data))
}

type short struct {
	http.ResponseWriter
	left int
}

func (s *short) Write(p []byte) (int, error) {
	n, err := s.ResponseWriter.Write(p[:min(len(p), s.left)])
	if s.left -= n; err == nil && s.left == 0 {
		if f, ok := s.ResponseWriter.(http.Flusher); ok {
			f.Flush()
		}
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func testFetcher(s *httptest.Server) fetcher { return fetcher{s.Client(), time.Millisecond} }

// TestStage: only what is asked for is fetched, in spite of cuts, and once.
func TestStage(t *testing.T) {
	files, parts := testParts(t)
	c := &cutter{data: bytes.Join(parts, nil), cuts: 2, after: len(parts[0]) / 3}
	srv := httptest.NewServer(c)
	defer srv.Close()
	s, err := openStage(t.Context(), stageRoot(t, files, parts), testFetcher(srv), srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	end := fmt.Sprint("-", len(parts[0])-1)
	if len(c.ranges) != 3 || c.ranges[0] != "bytes=0"+end || !strings.HasSuffix(c.ranges[1], end) || !strings.HasSuffix(c.ranges[2], end) ||
		c.ranges[1] == c.ranges[0] || c.ranges[1] == c.ranges[2] {
		t.Errorf("asked for ranges %q: want the tables alone, and to go on where it was cut", c.ranges)
	}
	c.ranges = nil
	for range 2 {
		if got, err := s.file(hbaModule); string(got) != "\x7fELF hba" || err != nil {
			t.Errorf("module %q, %v", got, err)
		}
	}
	if diff := cmp.Diff([]string{fmt.Sprintf("bytes=%d-%d", len(parts[0]), len(parts[0])+len(parts[1])-1)}, c.ranges); diff != "" {
		t.Errorf("ranges (-want +got)\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(s.root, hbaModule)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the module was unpacked: %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(s.root, "lib/firmware/hba-old.bin")); string(got) != "firmware" {
		t.Errorf("firmware %q, %v", got, err)
	}
	if _, err := s.file(modulesDir + "/kernel/other.ko"); !errors.Is(err, fs.ErrNotExist) || s.failed() != nil {
		t.Errorf("a module that is not in the stage: %v, and failed: %v", err, s.failed())
	}
}

func TestStageFails(t *testing.T) {
	files, parts := testParts(t)
	whole := bytes.Join(parts, nil)
	other := bytes.Clone(whole)
	other[20] ^= 1
	one := func(p []byte) (func() string, []byte) {
		return func() string { return stageRoot(t, []string{""}, [][]byte{p}) }, p
	}
	zeros, zerosServed := one(pack(t, make([]byte, 200)))
	outside, outsideServed := one(pack(t, newcArchive(cpioEntry{"../etc", 0o100644, "x"})))
	good := func() string { return stageRoot(t, files, parts) }
	for _, c := range []struct {
		name, want string
		root       func() string
		served     []byte
	}{
		{"another stage", "is not the one that belongs to this first stage", good, other},
		{"a shorter one", "is not the one that belongs", good, whole[:50]},
		{"no name of it", "second stage", t.TempDir, whole},
		{"no tables", `second stage: ""`, func() string { return stageRoot(t, files[1:], parts[1:]) }, whole},
		{"no archive", "no newc archive", zeros, zerosServed},
		{"a name outside", `name "../etc"`, outside, outsideServed},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(&cutter{data: c.served})
			defer srv.Close()
			_, err := openStage(t.Context(), c.root(), testFetcher(srv), srv.URL)
			if text := contains(err, c.want); text != "" {
				t.Error(text)
			}
		})
	}
}

// TestSpanOfBadServer: a server that sends all, or more than was asked for.
func TestSpanOfBadServer(t *testing.T) {
	for _, c := range []struct {
		name, want string
		status     int
	}{
		{"ignores the range", "200 OK to a request for a part", http.StatusOK},
		{"sends more", "want at most 10", http.StatusPartialContent},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls++
				w.WriteHeader(c.status)
				_, _ = w.Write(make([]byte, 20))
			}))
			defer srv.Close()
			_, err := testFetcher(srv).span(t.Context(), srv.URL, 5, 10)
			if text := contains(err, c.want); text != "" || calls != 1 {
				t.Errorf("%s after %d calls", text, calls)
			}
		})
	}
}

// TestStageLosesServer: a part that can't be had fails the preparation, not only its
// module.
func TestStageLosesServer(t *testing.T) {
	files, parts := testParts(t)
	data := bytes.Join(parts, nil)
	srv := httptest.NewServer(&cutter{data: data[:len(parts[0])]})
	defer srv.Close()
	s, err := openStage(t.Context(), stageRoot(t, files, parts), testFetcher(srv), srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.file(files[2]); err == nil || s.failed() == nil {
		t.Errorf("file: %v, failed: %v", err, s.failed())
	}
}

// TestStageOnMedia: boot media bring both stages, and nothing is fetched.
func TestStageOnMedia(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, filepath.Dir(stageMark)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, stageMark), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := openStage(t.Context(), root, fetcher{}, ""); s != nil || err != nil {
		t.Errorf("got %v, %v", s, err)
	}
	if err := (*stage)(nil).failed(); err != nil {
		t.Error(err)
	}
}

func TestGet(t *testing.T) {
	answers := []int{503, 200}
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		if r.URL.Path == "/missing" {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(answers[(calls-1)%2])
		_, _ = w.Write([]byte("text"))
	}))
	defer srv.Close()
	f := testFetcher(srv)
	if got, err := f.get(t.Context(), srv.URL, 100); string(got) != "text" || calls != 2 {
		t.Errorf("got %q, %v after %d calls", got, err, calls)
	}
	calls = 0
	var no *refusal
	if _, err := f.get(t.Context(), srv.URL+"/missing", 100); !errors.As(err, &no) || calls != 1 {
		t.Errorf("missing: %v after %d calls", err, calls)
	}
	calls = 1
	if _, err := f.get(t.Context(), srv.URL, 2); !errors.Is(err, errTooLarge) {
		t.Errorf("too large: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.get(ctx, srv.URL, 100); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func FuzzNewc(f *testing.F) {
	f.Add(newcArchive(cpioEntry{"lib", 0o040755, ""}, cpioEntry{"lib/a", 0o100644, "data"}, cpioEntry{"lib/b", 0o120777, "a"}))
	f.Add([]byte("070701"))
	f.Add(newcArchive(cpioEntry{"../x", 0o100644, "x"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newcReader{rest: data}
		for {
			e, err := r.Next()
			if errors.Is(err, io.EOF) || err != nil {
				return
			}
			if strings.HasPrefix(e.Name, "/") || strings.Contains("/"+e.Name+"/", "/../") {
				t.Errorf("name %q", e.Name)
			}
		}
	})
}
