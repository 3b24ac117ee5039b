package master

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// ApplyOptions says how an image is written. The zero value is right for most.
type ApplyOptions struct {
	// Workers is how many ranges are fetched, decoded and written at once, each
	// over a connection and with two buffers of ChunkBytes. 0 is three for each
	// CPU, so that some wait for the disk while others decode, and at most 16.
	Workers int
	// RangeBytes is the most that one request asks for; 0 is 4 MiB: little enough that
	// the workers end at about the same time.
	RangeBytes int64
	// Stall is how long a request may bring nothing before it is given up and
	// asked again; 0 is 30 s.
	Stall time.Duration
	// GiveUp is how long one range may fail without a good chunk before Apply
	// returns the error; 0 is 10 minutes, which a server restart fits in.
	GiveUp time.Duration
	// ChunkTries is how often a chunk with a wrong hash is fetched; 0 is 4.
	ChunkTries int
	// Done[i] says that chunk i was written before, by an Apply that was cut
	// short. Such a chunk is read back and hashed; only when it is wrong is it
	// fetched. May be nil, or as long as the manifest's chunks.
	Done []bool
	// ChunkDone is told the index of each chunk that is written, from one
	// goroutine. It may be nil.
	ChunkDone func(index int)
	// Progress is called after each chunk and each fault, from one goroutine,
	// and once at the end. A slow one slows Apply. It may be nil.
	Progress func(Progress)
	// Now and Sleep stand in for the clock; nil is the real one. Sleep returns
	// the context's error when it ends first.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
}

// Progress counts what an Apply did so far.
type Progress struct {
	// DoneBytes of TotalBytes of the logical disk are right, holes included.
	DoneBytes, TotalBytes int64
	// WrittenBytes were written to the disk, WireBytes came from the source.
	WrittenBytes, WireBytes int64
	// Reused chunks were found on the disk, Refetched had a wrong hash on the
	// wire, Retries is how often a request was cut or refused.
	Reused, Refetched, Retries int
}

func (o ApplyOptions) withDefaults() ApplyOptions {
	if o.Workers <= 0 {
		o.Workers = min(3*runtime.GOMAXPROCS(0), 16)
	}
	if o.RangeBytes <= 0 {
		o.RangeBytes = 4 << 20
	}
	if o.Stall <= 0 {
		o.Stall = 30 * time.Second
	}
	if o.GiveUp <= 0 {
		o.GiveUp = 10 * time.Minute
	}
	if o.ChunkTries <= 0 {
		o.ChunkTries = 4
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	return o
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Apply writes the image to the target: each chunk is checked against its hash
// before it is decoded and written, each hole made to read as zero. It returns when all is on
// stable storage. The run at the start of the disk, which holds the boot sector and the
// partition table, is cleared first and written last, so a disk that was left in
// the middle does not boot half an image.
//
// Before a byte is written it returns a [*SizeError] or [*SectorError] when the
// image does not fit. A chunk that stays wrong is a [*ChunkError]; a source that
// refuses is a [*PermanentError].
func Apply(ctx context.Context, m *Manifest, src Source, target Target, opts ApplyOptions) (Progress, error) {
	opts = opts.withDefaults()
	p := Progress{TotalBytes: m.LogicalBytes}
	if err := m.Check(); err != nil {
		return p, err
	}
	if err := m.CheckTarget(target); err != nil {
		return p, err
	}
	if opts.Done != nil && len(opts.Done) != len(m.Chunks) {
		return p, fmt.Errorf("write image: the journal has %d chunks, the image %d: it belongs to another image", len(opts.Done), len(m.Chunks))
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(opts.Workers), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return p, fmt.Errorf("write image: %w", err)
	}
	defer dec.Close()
	run := &applyRun{m: m, src: src, target: target, opts: opts, dec: dec, progress: p, events: make(chan event, 4*opts.Workers)}
	err = run.all(ctx)
	return run.progress, err
}

// applyRun is one Apply under way.
type applyRun struct {
	m        *Manifest
	src      Source
	target   Target
	opts     ApplyOptions
	dec      *zstd.Decoder
	progress Progress // owned by all's caller, see collect
	events   chan event
}

// event is what a worker tells the collector.
type event struct {
	chunk int // index of a chunk that is right, or -1
	delta Progress
}

func (r *applyRun) all(ctx context.Context) error {
	collected := make(chan struct{})
	go func() { defer close(collected); r.collect() }()
	err := r.write(ctx)
	close(r.events)
	<-collected
	if err == nil && r.opts.Progress != nil {
		r.opts.Progress(r.progress)
	}
	return err
}

func (r *applyRun) write(ctx context.Context) error {
	first, rest := r.split()
	if err := r.clearStart(first); err != nil {
		return err
	}
	if err := r.parallel(ctx, rest); err != nil {
		return err
	}
	if err := r.target.Sync(); err != nil {
		return err
	}
	if len(first) == 0 {
		return nil
	}
	if err := r.newWorker().fetch(ctx, byteRange{chunks: first}); err != nil {
		return err
	}
	return r.target.Sync()
}

// split puts the chunk at the start of the disk apart from the others.
func (r *applyRun) split() (first, rest []int) {
	for i, c := range r.m.Chunks {
		if c.Offset == 0 {
			first = append(first, i)
			continue
		}
		rest = append(rest, i)
	}
	return first, rest
}

func (r *applyRun) clearStart(first []int) error {
	if len(first) == 0 {
		return nil
	}
	if err := r.target.Zero(0, r.m.Chunks[first[0]].Length); err != nil {
		return err
	}
	return r.target.Sync()
}

// parallel clears the holes and writes the chunks, on all workers.
func (r *applyRun) parallel(ctx context.Context, chunks []int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.clearHoles(ctx) })
	ranges := make(chan byteRange)
	group.Go(func() error {
		defer close(ranges)
		for _, br := range plan(r.m.Chunks, chunks, r.opts.RangeBytes) {
			select {
			case ranges <- br:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range r.opts.Workers {
		group.Go(func() error {
			w := r.newWorker()
			for br := range ranges {
				if err := w.fetch(ctx, br); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// zeroStep is how much is zeroed at once: a disk that can't discard takes about a
// second for it, and must be seen to work.
const zeroStep = 128 << 20

func (r *applyRun) clearHoles(ctx context.Context) error {
	for _, h := range r.m.Holes() {
		for at := h.Offset; at < h.Offset+h.Length; at += zeroStep {
			if err := ctx.Err(); err != nil {
				return err
			}
			length := min(zeroStep, h.Offset+h.Length-at)
			if err := r.target.Zero(at, length); err != nil {
				return err
			}
			r.events <- event{-1, Progress{DoneBytes: length}}
		}
	}
	return nil
}

// collect adds up what the workers did and tells the caller.
func (r *applyRun) collect() {
	for e := range r.events {
		p := &r.progress
		p.DoneBytes += e.delta.DoneBytes
		p.WrittenBytes += e.delta.WrittenBytes
		p.WireBytes += e.delta.WireBytes
		p.Reused += e.delta.Reused
		p.Refetched += e.delta.Refetched
		p.Retries += e.delta.Retries
		if e.chunk >= 0 && r.opts.ChunkDone != nil {
			r.opts.ChunkDone(e.chunk)
		}
		if r.opts.Progress != nil {
			r.opts.Progress(*p)
		}
	}
}
