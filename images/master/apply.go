package master

import (
	"context"
	"fmt"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// Apply writes the image to the target: each chunk is checked against its hash
// before it is written, each hole made to read as zero. It returns when all is on
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
	dec, err := hasty()
	if err != nil {
		return p, fmt.Errorf("write image: %w", err)
	}
	run := &applyRun{m: m, dec: dec, src: src, target: target, opts: opts, layout: newLayoutKeeper(m, src), progress: p, events: make(chan event, 4*opts.Workers), early: newEarlySync(target)}
	err = run.all(ctx)
	return run.progress, err
}

// applyRun is one Apply under way.
type applyRun struct {
	m        *Manifest
	src      Source
	target   Target
	opts     ApplyOptions
	layout   *layoutKeeper
	dec      *zstd.Decoder
	progress Progress // owned by all's caller, see collect
	events   chan event
	early    *earlySync
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
	ranges, err := r.ranges(ctx, rest)
	if err != nil {
		return err
	}
	if err := r.clearStart(first); err != nil {
		return err
	}
	if err := r.parallel(ctx, ranges); err != nil {
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

// ranges says which chunks are asked for together. Should the layout change on the way,
// they are still asked for together.
func (r *applyRun) ranges(ctx context.Context, chunks []int) ([]byteRange, error) {
	for p := r.newPatience(); ; {
		l, err := r.firstLayout(ctx)
		if err == nil {
			return plan(l, chunks, r.opts.RangeBytes), nil
		}
		if err := p.wait(ctx, err); err != nil {
			return nil, err
		}
	}
}

func (r *applyRun) firstLayout(ctx context.Context) (*Layout, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer r.stallTimer(cancel).Stop()
	l, err := r.layout.get(ctx)
	return l, stallCause(ctx, err)
}

// parallel clears the holes and writes the chunks, on all workers.
func (r *applyRun) parallel(ctx context.Context, all []byteRange) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.clearHoles(ctx) })
	ranges := make(chan byteRange)
	group.Go(func() error {
		defer close(ranges)
		for _, br := range all {
			select {
			case ranges <- br:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	group.Go(r.early.run)
	group.Go(func() error {
		defer r.early.end()
		return r.fetchAll(ctx, ranges)
	})
	return group.Wait()
}

func (r *applyRun) fetchAll(ctx context.Context, ranges <-chan byteRange) error {
	group, ctx := errgroup.WithContext(ctx)
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
