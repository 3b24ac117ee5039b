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
	return &worker{applyRun: r, batch: newBatch(max(r.m.ChunkBytes, writeBytes)), frame: make([]byte, r.m.ChunkBytes+frameSlackBytes), body: bufio.NewReaderSize(nil, 4096)}
}

// fetch brings all chunks of a range, asking again from the last good one.
func (w *worker) fetch(ctx context.Context, br byteRange) error {
	rest := w.reuse(br.chunks)
	p := w.newPatience()
	for len(rest) > 0 {
		n, err := w.stream(ctx, rest)
		if n > 0 {
			p.good()
		}
		rest = rest[n:]
		if err == nil {
			continue
		}
		if err := p.wait(ctx, err); err != nil {
			return err
		}
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
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := w.stallTimer(cancel)
	defer stall.Stop()
	l, err := w.layout.get(ctx)
	if err != nil {
		return 0, stallCause(ctx, err)
	}
	first, last := l.Frame(chunks[0]), l.Frame(chunks[len(chunks)-1])
	body, err := w.src.ReadRange(ctx, l, first.Offset, last.End()-first.Offset)
	if errors.Is(err, ErrMoved) {
		w.layout.forget(l)
	}
	if err != nil {
		return 0, stallCause(ctx, err)
	}
	defer body.Close()
	w.body.Reset(body)
	w.batch.reset()
	at := first.Offset
	for _, i := range chunks {
		stall.Reset(w.opts.Stall)
		if err := w.chunk(i, l.Frame(i), at); err != nil {
			err = errors.Join(stallCause(ctx, err), w.flush())
			return w.written, err
		}
		at = l.Frame(i).End()
	}
	err = w.flush()
	return w.written, err
}

// stallTimer ends a request that brings nothing, unless it is reset.
func (r *applyRun) stallTimer(cancel context.CancelCauseFunc) *time.Timer {
	return time.AfterFunc(r.opts.Stall, func() { cancel(fmt.Errorf("no data for %s", r.opts.Stall)) })
}

// stallCause puts the reason of a cancelled request in place of "context canceled".
func stallCause(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil && cause != ctx.Err() {
		return cause
	}
	return err
}

// chunk reads, checks and writes one chunk, whose frame is at a place of the data file,
// from a body that stands at fileAt.
func (w *worker) chunk(i int, place Part, fileAt int64) error {
	c := w.m.Chunks[i]
	if _, err := w.body.Discard(int(place.Offset - fileAt)); err != nil {
		return fmt.Errorf("read image data at %d: %w", fileAt, err)
	}
	frame := w.frame[:place.Length]
	if _, err := io.ReadFull(w.body, frame); err != nil {
		return fmt.Errorf("read image data at %d: %w", place.Offset, err)
	}
	w.events <- event{-1, Progress{WireBytes: place.Length}}
	if !w.fits(c) {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if _, err := c.unpack(w.dec, frame, w.next()); err != nil {
		return &badChunk{i, err.Error()}
	}
	w.add(i, c)
	return nil
}
