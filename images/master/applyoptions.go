package master

import (
	"context"
	"runtime"
	"time"
)

// ApplyOptions says how an image is written. The zero value is right for most.
type ApplyOptions struct {
	// Workers is how many ranges are fetched, decoded and written at once, each
	// over a connection and with some 3 MiB of buffers. 0 is eight for each CPU, so
	// that some decode while others wait for the disk, also for one that takes nothing
	// while it is synced, and at most 16.
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
		o.Workers = min(8*runtime.GOMAXPROCS(0), 16)
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
