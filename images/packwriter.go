package images

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ingot/images/master"
)

// packWriter writes a pack, one frame behind the other.
type packWriter struct {
	path    string
	file    *os.File // nil before the first frame
	entries []packEntry
	where   map[master.Digest]int
	bytes   int64
	// flushed is how much is on stable storage when flushing has ended.
	flushed  int64
	flushing chan error // nil when nothing is being flushed
	// plain says that the frames hold the bytes as they are.
	plain bool
	// replaced are frames that another pack has, damaged or not compressed.
	replaced []master.Digest
}

func (w *packWriter) has(sum master.Digest) bool {
	_, ok := w.where[sum]
	return ok
}

// place is where a frame lies in the pack.
func (w *packWriter) place(sum master.Digest) (location, bool) {
	i, ok := w.where[sum]
	if !ok {
		return location{}, false
	}
	return location{offset: w.entries[i].offset, length: w.entries[i].length}, true
}

// flushBytes is how much is gathered before the disk is told to make it durable while the
// next frames are made, so that sync has little left to wait for: not only for the kernel,
// which writes back by itself, but for the disk's own cache.
const flushBytes = 64 << 20

func (w *packWriter) add(sum master.Digest, frame []byte) (err error) {
	if w.file == nil {
		if w.file, err = os.OpenFile(w.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644); err != nil {
			return err
		}
		w.where = map[master.Digest]int{}
	}
	if _, err := w.file.WriteAt(frame, w.bytes); err != nil {
		return err
	}
	w.where[sum] = len(w.entries)
	w.entries = append(w.entries, packEntry{sum, w.bytes, int64(len(frame))})
	w.bytes += int64(len(frame))
	return w.flushEarly()
}

// flushEarly has the disk take what it lacks, in the background, if there is enough of it.
func (w *packWriter) flushEarly() error {
	select {
	case err := <-w.flushing:
		if w.flushing = nil; err != nil {
			return err
		}
	default:
	}
	if w.flushing == nil && w.bytes-w.flushed >= flushBytes {
		w.flushed, w.flushing = w.bytes, make(chan error, 1)
		go func(f *os.File, done chan<- error) { done <- f.Sync() }(w.file, w.flushing)
	}
	return nil
}

// waitFlush waits for what is being flushed.
func (w *packWriter) waitFlush() error {
	if w.flushing == nil {
		return nil
	}
	err := <-w.flushing
	w.flushing = nil
	return err
}

func (w *packWriter) read(sum master.Digest) ([]byte, error) {
	e := w.entries[w.where[sum]]
	frame := make([]byte, e.length)
	_, err := w.file.ReadAt(frame, e.offset)
	return frame, err
}

func (w *packWriter) sync() error {
	if w.file == nil {
		return nil
	}
	return errors.Join(w.waitFlush(), w.file.Sync())
}

func (w *packWriter) close() error {
	if w.file == nil {
		return nil
	}
	return errors.Join(w.waitFlush(), w.file.Close())
}

// nextPack is the number behind those of the names.
func nextPack(names []string) int {
	last := 0
	for _, name := range names {
		stem, _, _ := strings.Cut(filepath.Base(name), ".")
		if n, err := strconv.Atoi(stem); err == nil {
			last = max(last, n)
		}
	}
	return last + 1
}
