package master

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// piece is one chunk under way: data of windows, then a frame.
type piece struct {
	offset, length int64
	windows        []*window
	// done is closed when what follows is there. nil marks that the disk was read up
	// to offset.
	done  chan struct{}
	sum   Digest
	frame *[]byte // nil when the bytes are kept already
}

// encoder reads windows and compresses chunks on all workers; one goroutine cuts, one
// puts in order. Each channel has one sender, which closes it; what is under way is
// bounded by the order channels.
type encoder struct {
	enc  *zstd.Encoder
	disk windowReader
	put  Put
	opts WriteOptions
	rule cutRule
	// total is the disk's size, 0 when it is not known yet.
	total int64

	reads   chan *window
	windows chan *window // in order
	packs   chan *piece
	pieces  chan *piece // in order
	frames  sync.Pool
}

func encode(ctx context.Context, disk windowReader, out *frameWriter, put Put, opts WriteOptions) error {
	enc, err := newEncoder(opts)
	if err != nil {
		return err
	}
	defer enc.Close()
	e := &encoder{enc: enc, disk: disk, put: put, opts: opts, rule: newCutRule(opts.ChunkBytes), total: disk.sizeBytes(),
		reads: make(chan *window), windows: make(chan *window, 2*opts.Workers),
		packs: make(chan *piece), pieces: make(chan *piece, 8*opts.Workers)}
	e.frames.New = func() any { return new([]byte) }
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.read(ctx) })
	group.Go(func() error { return e.cut(ctx) })
	for range opts.Workers {
		group.Go(e.work)
	}
	group.Go(func() error { return e.drain(ctx, out) })
	return group.Wait()
}

// read has the windows read.
func (e *encoder) read(ctx context.Context) error {
	defer close(e.reads)
	defer close(e.windows)
	for {
		w, err := e.disk.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if w.end() > e.opts.MaxBytes {
			return fmt.Errorf("it has more than %d bytes: %w", e.opts.MaxBytes, ErrTooLarge)
		}
		for _, to := range []chan<- *window{e.windows, e.reads} {
			select {
			case to <- w:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// cut makes pieces of the windows.
func (e *encoder) cut(ctx context.Context) error {
	defer close(e.packs)
	defer close(e.pieces)
	var held []*window
	c := newCutter(e.rule, func(start, end int64) error { return e.emit(ctx, held, start, end) })
	for w := range e.windows {
		select {
		case <-w.read:
		case <-ctx.Done():
			return ctx.Err()
		}
		held = append(held, w)
		for i, b := range w.blocks {
			at := int64(i) * blockBytes
			if err := c.add(w.offset+at, min(blockBytes, w.length-at), b); err != nil {
				return err
			}
		}
		reached := w.end() // a window that was dropped is another's
		for len(held) > 0 && held[0].end() <= c.needs(reached) {
			held[0].drop()
			held = held[1:]
		}
		if err := send(ctx, e.pieces, &piece{offset: reached}); err != nil {
			return err
		}
	}
	return c.finish()
}

func (e *encoder) emit(ctx context.Context, held []*window, start, end int64) error {
	p := &piece{offset: start, length: end - start, done: make(chan struct{})}
	for _, w := range held {
		if w.end() > start && w.offset < end {
			w.users.Add(1)
			p.windows = append(p.windows, w)
		}
	}
	if err := send(ctx, e.pieces, p); err != nil {
		return err
	}
	return send(ctx, e.packs, p)
}

func send(ctx context.Context, to chan<- *piece, p *piece) error {
	select {
	case to <- p:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// work reads and packs until there is no more of either.
func (e *encoder) work() error {
	var joined []byte
	reads, packs := e.reads, e.packs
	for reads != nil || packs != nil {
		select {
		case w, ok := <-reads:
			if !ok {
				reads = nil
				continue
			}
			if err := e.disk.fill(w); err != nil {
				return err
			}
			w.blocks = e.rule.look(w.buf[:w.length], w.blocks[:0])
			close(w.read)
		case p, ok := <-packs:
			if !ok {
				packs = nil
				continue
			}
			joined = e.pack(p, joined)
		}
	}
	return nil
}

// pack makes a frame of a piece. joined is room for one that lies in several windows.
func (e *encoder) pack(p *piece, joined []byte) []byte {
	h := sha256.New()
	for _, w := range p.windows {
		h.Write(w.part(p.offset, p.offset+p.length))
	}
	h.Sum(p.sum[:0])
	if e.opts.Have == nil || !e.opts.Have(p.sum, p.length) {
		p.frame = e.frames.Get().(*[]byte)
		*p.frame, joined = e.frame(p, (*p.frame)[:0], joined)
	}
	for _, w := range p.windows {
		w.drop()
	}
	p.windows = nil
	close(p.done)
	return joined
}

func (e *encoder) frame(p *piece, dst, joined []byte) (frame, room []byte) {
	if e.opts.Uncompressed {
		f := newRawFrame(dst, p.length)
		for _, w := range p.windows {
			f.add(w.part(p.offset, p.offset+p.length))
		}
		return f.bytes, joined
	}
	data := p.windows[0].part(p.offset, p.offset+p.length)
	if len(p.windows) > 1 {
		joined = joined[:0]
		for _, w := range p.windows {
			joined = append(joined, w.part(p.offset, p.offset+p.length)...)
		}
		data = joined
	}
	return e.enc.EncodeAll(data, dst), joined
}

// drain puts the pieces in order.
func (e *encoder) drain(ctx context.Context, out *frameWriter) error {
	for p := range e.pieces {
		if p.done == nil {
			if e.opts.Progress != nil {
				e.opts.Progress(p.offset, e.total)
			}
			continue
		}
		select {
		case <-p.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := e.keep(p, out); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) keep(p *piece, out *frameWriter) error {
	var frame []byte
	if p.frame != nil {
		frame = *p.frame
		defer e.frames.Put(p.frame)
		if e.put != nil {
			if err := e.put(p.sum, frame); err != nil {
				return err
			}
		}
	}
	return out.data(p, frame)
}
