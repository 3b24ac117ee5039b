package master

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ChunkError says that a chunk stayed wrong however often it was fetched. The
// data at the source is damaged or is another image's.
type ChunkError struct {
	// Index is the chunk's place in the manifest, Offset on the disk.
	Index  int
	Offset int64
	// Tries is how often it was fetched.
	Tries int
	// Reason is what was wrong the last time.
	Reason string
}

func (e *ChunkError) Error() string {
	return fmt.Sprintf("chunk %d (at %d of the disk) is wrong after %d tries: %s", e.Index, e.Offset, e.Tries, e.Reason)
}

// badChunk is one wrong delivery of a chunk.
type badChunk struct {
	index  int
	reason string
}

func (e *badChunk) Error() string { return fmt.Sprintf("chunk %d: %s", e.index, e.reason) }

// badTable is a seek table that can't be the image's.
type badTable struct{ err error }

func (e *badTable) Error() string { return e.err.Error() }

func (e *badTable) Unwrap() error { return e.err }

// diskError is an error of the target: never tried again.
type diskError struct{ err error }

func (e *diskError) Error() string { return e.err.Error() }

func (e *diskError) Unwrap() error { return e.err }

// backoff doubles from 100 ms to 10 s.
func backoff(attempt int) time.Duration {
	return min(100*time.Millisecond<<min(attempt, 10), 10*time.Second)
}

// retry is when to ask again.
type retry bool

const (
	atOnce retry = true  // the wire works, one chunk was wrong
	later  retry = false // the source is away
)

// patience decides after each error of a source whether to ask again, and when.
type patience struct {
	run      *applyRun
	attempt  int
	bad      int // wrong deliveries, and layouts that were old, since the last good chunk
	lastGood time.Time
}

func (r *applyRun) newPatience() *patience { return &patience{run: r, lastGood: r.opts.Now()} }

// good is told when something came that is right.
func (p *patience) good() { p.attempt, p.bad, p.lastGood = 0, 0, p.run.opts.Now() }

// wait returns the error that ends the fetch, or nil when it is time to ask again.
func (p *patience) wait(ctx context.Context, err error) error {
	again, err := p.decide(ctx, err)
	if err != nil || again == atOnce {
		return err
	}
	p.attempt++
	return p.run.opts.Sleep(ctx, backoff(p.attempt-1))
}

func (p *patience) decide(ctx context.Context, err error) (retry, error) {
	if ctx.Err() != nil {
		return later, ctx.Err()
	}
	r := p.run
	var wrong *badChunk
	var table *badTable
	var disk *diskError
	var permanent *PermanentError
	switch {
	case errors.As(err, &disk), errors.As(err, &permanent):
		return later, err
	case errors.As(err, &wrong):
		r.events <- event{-1, Progress{Refetched: 1}}
		if p.bad++; p.bad >= r.opts.ChunkTries {
			return later, &ChunkError{wrong.index, r.m.Chunks[wrong.index].Offset, p.bad, wrong.reason}
		}
		return atOnce, nil
	case errors.As(err, &table), errors.Is(err, ErrMoved):
		if p.bad++; p.bad >= r.opts.ChunkTries {
			return later, err
		}
		return atOnce, nil
	}
	r.events <- event{-1, Progress{Retries: 1}}
	if since := r.opts.Now().Sub(p.lastGood); since >= r.opts.GiveUp {
		return later, fmt.Errorf("fetch image data: nothing for %s: %w", since.Round(time.Second), err)
	}
	return later, nil
}
