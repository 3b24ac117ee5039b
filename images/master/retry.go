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

// mayRetry returns the error that ends the fetch, or when to ask again. It counts
// wrong deliveries in bad.
func (w *worker) mayRetry(ctx context.Context, err error, bad *int, lastGood time.Time) (retry, error) {
	if ctx.Err() != nil {
		return later, ctx.Err()
	}
	var wrong *badChunk
	var disk *diskError
	var permanent *PermanentError
	switch {
	case errors.As(err, &disk), errors.As(err, &permanent):
		return later, err
	case errors.As(err, &wrong):
		*bad++
		w.events <- event{-1, Progress{Refetched: 1}}
		if *bad >= w.opts.ChunkTries {
			return later, &ChunkError{wrong.index, w.m.Chunks[wrong.index].Offset, *bad, wrong.reason}
		}
		return atOnce, nil
	}
	w.events <- event{-1, Progress{Retries: 1}}
	if since := w.opts.Now().Sub(lastGood); since >= w.opts.GiveUp {
		return later, fmt.Errorf("fetch image data: nothing for %s: %w", since.Round(time.Second), err)
	}
	return later, nil
}
