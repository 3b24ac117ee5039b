package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/inventory/api"
)

// TestServerCompresses: an import with a server is compressed behind it; one without is at
// once.
func TestServerCompresses(t *testing.T) {
	var log bytes.Buffer
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, bytes.Repeat([]byte("some text that compresses well. "), 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, server := range []bool{true, false} {
		w, err := openImageWork(t.TempDir(), Images{}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		w.later = server
		in := api.ImageImport{Path: disk, Name: "web-1", Format: "raw", FirstBoot: "none", Channel: noChannel}
		first, err := w.Import(t.Context(), in, func(api.WorkLine) {})
		if err != nil {
			t.Fatal(err)
		}
		if left, err := w.publish.Store.Uncompressed(); err != nil || left != server {
			t.Errorf("server %v: uncompressed %v, %v", server, left, err)
		}
		if err := w.compressNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		second, err := w.images.Get(t.Context(), "web-1@"+first.Digest)
		if err != nil || (second.StoredBytes < first.StoredBytes/2) != server {
			t.Errorf("server %v: stored %d bytes after %d, %v", server, second.StoredBytes, first.StoredBytes, err)
		}
	}
	if n := strings.Count(log.String(), "images compressed"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
}

// TestCompressEnds: the server's loop ends with it.
func TestCompressEnds(t *testing.T) {
	w, err := openImageWork(t.TempDir(), Images{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.compress(ctx)
}
