package master

import "fmt"

// writeBytes is how much is written to the disk at once.
const writeBytes = 2 << 20

// batch is decoded chunks that follow each other on the disk and are not written yet.
type batch struct {
	buf            []byte
	chunks         []int
	offset, length int64
	// written is how many chunks were written since reset.
	written int
}

func newBatch(bytes int64) batch { return batch{buf: alignedBuffer(bytes + slackBytes)[:bytes]} }

func (b *batch) reset() { b.chunks, b.length, b.written = b.chunks[:0], 0, 0 }

// fits reports whether the chunk can be added before the others are written.
func (b *batch) fits(c Chunk) bool {
	return b.length == 0 || c.Offset == b.offset+b.length && b.length+c.Length <= int64(len(b.buf))
}

// next is the room for the next chunk.
func (b *batch) next() []byte { return b.buf[b.length:] }

// add takes a chunk that was decoded into next.
func (b *batch) add(i int, c Chunk) {
	if b.length == 0 {
		b.offset = c.Offset
	}
	b.chunks, b.length = append(b.chunks, i), b.length+c.Length
}

// flush writes the batch.
func (w *worker) flush() error {
	if w.length == 0 {
		return nil
	}
	if _, err := w.target.WriteAt(w.buf[:w.length], w.offset); err != nil {
		return &diskError{fmt.Errorf("write %d bytes at %d of the disk: %w", w.length, w.offset, err)}
	}
	w.early.wrote(w.length)
	for _, i := range w.chunks {
		n := w.m.Chunks[i].Length
		w.events <- event{i, Progress{DoneBytes: n, WrittenBytes: n}}
	}
	w.written += len(w.chunks)
	w.chunks, w.length = w.chunks[:0], 0
	return nil
}
