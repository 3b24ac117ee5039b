package journal

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const stamp = "2026-11-24T12:00:00.000Z "

func open(t *testing.T) (*Journal, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "journal")
	j, err := Open(dir, func() time.Time { return t0 })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j, dir
}

func read(t *testing.T, j *Journal, name string) string {
	t.Helper()
	var b bytes.Buffer
	if err := j.Read(t.Context(), name, false, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAppendStampsLines(t *testing.T) {
	for name, c := range map[string]struct {
		writes []string
		want   string
	}{
		"never written":    {nil, ""},
		"two lines":        {[]string{"one\ntwo\n"}, stamp + "one\n" + stamp + "two\n"},
		"line in pieces":   {[]string{"on", "e\n"}, stamp + "one\n"},
		"empty line":       {[]string{"\n\na\n"}, "\n\n" + stamp + "a\n"},
		"carriage returns": {[]string{"a\r\nb\r\n"}, stamp + "a\n" + stamp + "b\n"},
		"terminal escapes": {[]string{"\x1b[2Jred\x07\x7f\tx\n"}, stamp + "[2Jred\tx\n"},
	} {
		j, _ := open(t)
		for _, w := range c.writes {
			if err := j.Append("m-1", []byte(w)); err != nil {
				t.Fatal(err)
			}
		}
		if got := read(t, j, "m-1"); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestBadNames(t *testing.T) {
	j, dir := open(t)
	for _, name := range []string{"", "../x", "a/b", "A", "-a", strings.Repeat("a", 129), "a.b"} {
		if err := j.Append(name, []byte("x")); err == nil {
			t.Errorf("Append to %q was done", name)
		}
		if err := j.Read(t.Context(), name, false, io.Discard); err == nil {
			t.Errorf("Read of %q was done", name)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("files: %v, %v", files, err)
	}
}

// TestFollow reads what was there and what comes, in order, and ends with the context.
func TestFollow(t *testing.T) {
	j, _ := open(t)
	if err := j.Append("m-1", []byte("first\n")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- j.Read(ctx, "m-1", true, w) }()
	line := make([]byte, len(stamp)+len("first\n"))
	if _, err := io.ReadFull(r, line); err != nil || string(line) != stamp+"first\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := j.Append("m-1", []byte("then!\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, line); err != nil || string(line) != stamp+"then!\n" {
		t.Fatalf("%q, %v", line, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Read: %v", err)
	}
}

// TestFollowGoesOnAfterRotation reads the first line of the new file.
func TestFollowGoesOnAfterRotation(t *testing.T) {
	j, _ := open(t)
	if err := j.Append("m-1", bytes.Repeat([]byte("x"), maxBytes+1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- j.Read(ctx, "m-1", true, w) }()
	if _, err := io.CopyN(io.Discard, r, int64(len(stamp)+maxBytes+1)); err != nil {
		t.Fatal(err)
	}
	const last = "\n" + stamp + "after the rotation\n"
	if err := j.Append("m-1", []byte("\nafter the rotation\n")); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len(last))
	if _, err := io.ReadFull(r, line); err != nil || string(line) != last {
		t.Errorf("%q, %v, want %q", line, err, last)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Read: %v", err)
	}
}

func TestRotationBoundsAStream(t *testing.T) {
	j, dir := open(t)
	chunk := []byte(strings.Repeat(strings.Repeat("x", 1023)+"\n", 1024))
	for range 20 {
		if err := j.Append("m-1", chunk); err != nil {
			t.Fatal(err)
		}
	}
	var total int64
	for _, name := range []string{"m-1.log", "m-1.old.log"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if limit := int64(2*maxBytes + 2*2<<20); total > limit {
		t.Errorf("the stream keeps %d bytes, want at most %d", total, limit)
	}
	if err := j.Remove("m-1"); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("after Remove: %v, %v", files, err)
	}
	if got := read(t, j, "m-1"); got != "" {
		t.Errorf("after Remove: %q", got)
	}
}

func TestReopenGoesOn(t *testing.T) {
	j, dir := open(t)
	if err := j.Append("m-1", []byte("before\n")); err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir, func() time.Time { return t0 })
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := again.Append("m-1", []byte("after\n")); err != nil {
		t.Fatal(err)
	}
	if got := read(t, again, "m-1"); got != stamp+"before\n"+stamp+"after\n" {
		t.Errorf("%q", got)
	}
}
