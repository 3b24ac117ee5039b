package tftp

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// lend writes a file and returns a function that opens it through a Shared.
func lend(t *testing.T, s *Shared, data []byte) (path string, open func() File) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path, func() File {
		t.Helper()
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := s.File(f)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
}

func readClose(t *testing.T, f File) []byte {
	t.Helper()
	data, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return data
}

// TestSharedChanged: a file that changes while it is read is another file.
func TestSharedChanged(t *testing.T) {
	s := new(Shared)
	want := random(100_000)
	path, open := lend(t, s, want)
	first := open()
	if _, err := io.ReadFull(first, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil { // the disk has it no more
		t.Fatal(err)
	}
	if got := open(); len(readClose(t, got)) != 0 {
		t.Error("a file that changed is another file")
	}
	rest := readClose(t, first)
	if !bytes.Equal(rest, want[10:]) {
		t.Error("the first reader got something else")
	}
	if s.heldBytes != 0 || len(s.held) != 0 {
		t.Errorf("%d files with %d bytes are held with nobody to read them", len(s.held), s.heldBytes)
	}
}

// TestSharedTogether has eight readers at once: the file is read from the disk once, and
// forgotten with the last of them.
func TestSharedTogether(t *testing.T) {
	s := new(Shared)
	want := random(300_000)
	path, open := lend(t, s, want)
	var readers []File
	for range 8 {
		readers = append(readers, open())
	}
	if s.heldBytes != 300_000 {
		t.Errorf("%d bytes are held for eight readers of 300000", s.heldBytes)
	}
	if _, err := readers[0].Read(nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil { // who looked again would find nothing
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, f := range readers {
		wg.Go(func() {
			if data, err := io.ReadAll(f); err != nil || !bytes.Equal(data, want) {
				t.Errorf("a reader got %d bytes, which differ (%v)", len(data), err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s.heldBytes != 0 {
		t.Errorf("%d bytes are held at the end", s.heldBytes)
	}
}

// TestSharedFull reads what there is no room for from the disk.
func TestSharedFull(t *testing.T) {
	s := &Shared{RoomBytes: 150_000}
	small, large := random(100_000), random(100_001)
	_, openSmall := lend(t, s, small)
	_, openLarge := lend(t, s, large)
	a, b := openSmall(), openLarge()
	if s.heldBytes != 100_000 {
		t.Errorf("%d bytes are held, there is room for one file of 100000", s.heldBytes)
	}
	if a.SizeBytes() != 100_000 || b.SizeBytes() != 100_001 {
		t.Errorf("sizes are %d and %d", a.SizeBytes(), b.SizeBytes())
	}
	if !bytes.Equal(readClose(t, b), large) || !bytes.Equal(readClose(t, a), small) {
		t.Error("a reader got something else")
	}
}

// TestSharedCutShort tells each reader that the file is shorter than it was.
func TestSharedCutShort(t *testing.T) {
	s := new(Shared)
	path, open := lend(t, s, random(10_000))
	a, b := open(), open()
	if err := os.Truncate(path, 5_000); err != nil {
		t.Fatal(err)
	}
	for _, f := range []File{a, b} {
		if n, err := f.Read(make([]byte, 100)); n != 0 || !errors.Is(err, io.EOF) || err == io.EOF {
			t.Errorf("read %d bytes, err %v: want none and an error that says so", n, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
