package master

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// worker has the buffers to bring one range at a time. Chunks that follow each other on
// the disk are written at once: a disk takes one long write faster than many short ones.
type worker struct {
	*applyRun
	batch
	frame []byte
	body  *bufio.Reader
}

func (r *applyRun) newWorker() *worker {
	return &worker{applyRun: r, batch: batch{buf: alignedBuffer(max(r.m.ChunkBytes, writeBytes))}, frame: make([]byte, r.m.ChunkBytes+frameSlackBytes), body: bufio.NewReaderSize(nil, 4096)}
}

// fetch brings all chunks of a range, asking again from the last good one.
func (w *worker) fetch(ctx context.Context, br byteRange) error {
	rest := w.reuse(br.chunks)
	bad := 0
	lastGood := w.opts.Now()
	for attempt := 0; len(rest) > 0; {
		n, err := w.stream(ctx, rest)
		if n > 0 {
			attempt, bad, lastGood = 0, 0, w.opts.Now()
		}
		rest = rest[n:]
		if err == nil {
			continue
		}
		again, err := w.mayRetry(ctx, err, &bad, lastGood)
		if err != nil {
			return err
		}
		if again == atOnce {
			continue
		}
		if err := w.opts.Sleep(ctx, backoff(attempt)); err != nil {
			return err
		}
		attempt++
	}
	return nil
}

// reuse drops the chunks that the journal names and the disk really holds.
func (w *worker) reuse(chunks []int) []int {
	if w.opts.Done == nil {
		return chunks
	}
	var rest []int
	for _, i := range chunks {
		c := w.m.Chunks[i]
		raw := w.buf[:c.Length]
		if w.opts.Done[i] {
			if _, err := w.target.ReadAt(raw, c.Offset); err == nil && DigestOf(raw) == c.SHA256 {
				w.events <- event{i, Progress{DoneBytes: c.Length, Reused: 1}}
				continue
			}
		}
		rest = append(rest, i)
	}
	return rest
}

// stream makes one request for the chunks and returns how many were written.
// After reuse the chunks may have gaps: they are read over.
func (w *worker) stream(ctx context.Context, chunks []int) (int, error) {
	first, last := w.m.Chunks[chunks[0]], w.m.Chunks[chunks[len(chunks)-1]]
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(w.opts.Stall, func() { cancel(fmt.Errorf("no data for %s", w.opts.Stall)) })
	defer stall.Stop()
	body, err := w.src.ReadRange(ctx, first.FileOffset, last.FileEnd()-first.FileOffset)
	if err != nil {
		return 0, stallCause(ctx, err)
	}
	defer body.Close()
	w.body.Reset(body)
	w.batch.reset()
	at := first.FileOffset
	for _, i := range chunks {
		stall.Reset(w.opts.Stall)
		if err := w.chunk(i, at); err != nil {
			err = errors.Join(stallCause(ctx, err), w.flush())
			return w.written, err
		}
		at = w.m.Chunks[i].FileEnd()
	}
	err = w.flush()
	return w.written, err
}

// stallCause puts the reason of a cancelled request in place of "context canceled".
func stallCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil && cause != ctx.Err() {
		return cause
	}
	return err
}

// chunk reads, checks and writes one chunk from a body that stands at fileAt.
func (w *worker) chunk(i int, fileAt int64) error {
	c := w.m.Chunks[i]
	if _, err := w.body.Discard(int(c.FileOffset - fileAt)); err != nil {
		return fmt.Errorf("read image data at %d: %w", fileAt, err)
	}
	frame := w.frame[:c.FileLength]
	if _, err := io.ReadFull(w.body, frame); err != nil {
		return fmt.Errorf("read image data at %d: %w", c.FileOffset, err)
	}
	w.events <- event{-1, Progress{WireBytes: c.FileLength}}
	if DigestOf(frame) != c.FrameSHA256 {
		return &badChunk{i, "its SHA-256 differs from the manifest's"}
	}
	if !w.fits(c) {
		if err := w.flush(); err != nil {
			return err
		}
	}
	room := w.next()
	raw, err := w.dec.DecodeAll(frame, room[:0:c.Length])
	switch {
	case err != nil:
		return &badChunk{i, fmt.Sprintf("not a zstd frame of %d bytes: %v", c.Length, err)}
	case int64(len(raw)) != c.Length:
		return &badChunk{i, fmt.Sprintf("%d raw bytes, want %d", len(raw), c.Length)}
	}
	w.add(i, c)
	return nil
}
