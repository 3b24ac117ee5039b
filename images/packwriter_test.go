package images

import (
	"errors"
	"path/filepath"
	"testing"

	"ingot/images/master"
)

// TestFlushFails: an error of a flush in the background reaches whoever comes next: the
// next frame, or what ends the pack.
func TestFlushFails(t *testing.T) {
	broken := errors.New("the disk is gone")
	frame := []byte("frame")
	for name, next := range map[string]func(*packWriter) error{
		"add":   func(w *packWriter) error { return w.add(master.DigestOf([]byte("second")), frame) },
		"sync":  (*packWriter).sync,
		"close": (*packWriter).close,
	} {
		t.Run(name, func(t *testing.T) {
			w := &packWriter{path: filepath.Join(t.TempDir(), "pack")}
			if err := w.add(master.DigestOf([]byte("first")), frame); err != nil {
				t.Fatal(err)
			}
			w.flushing = make(chan error, 1)
			w.flushing <- broken
			if err := next(w); !errors.Is(err, broken) {
				t.Errorf("got %v, want the flush's error", err)
			}
			if name != "close" {
				if err := w.close(); err != nil {
					t.Errorf("the error came again: %v", err)
				}
			}
		})
	}
}
