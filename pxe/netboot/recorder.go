package netboot

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"ingot/inventory"
)

// Limits of what the recorder keeps, so that a flood of MACs is bounded.
const (
	queueLength = 4096
	maxAttempts = 4096
	// maxFiles bounds the files told of one attempt, maxDiscovered the machines that
	// wait for approval: who forges MACs must not fill the inventory.
	maxFiles        = 64
	maxDiscovered   = 1000
	maxPending      = 8192
	keepUnknownRows = 2000
	// keepKnown is how long sightings of a machine are evidence of anything.
	keepKnown  = 90 * 24 * time.Hour
	flushEvery = time.Second
	trimEvery  = 10 * time.Second
	// Sightings are stored chunkRows in a transaction, with chunkPause before the next, so
	// that leases do not wait for long, and chunkMax times in flushEvery; the others wait
	// for the next time.
	chunkRows  = 16
	chunkMax   = 32
	chunkPause = 25 * time.Millisecond
)

// Recorder turns what the protocols saw into sightings, boot attempts and events, and
// makes a discovered machine of a client that fetches a boot file. One goroutine works;
// what comes when its queue is full is dropped and counted.
type Recorder struct {
	table *Table
	store inventory.Store
	now   func() time.Time
	log   *slog.Logger
	queue chan observation
	// full is set while no more sightings of unknown MACs are taken.
	full atomic.Bool
	// owned by Run:
	attempts map[inventory.MAC]*attempt
	byIP     map[netip.Addr]inventory.MAC
	pending  map[sightingKey]*inventory.Sighting
	streaks  map[streakKey]*streak
	trimmed  time.Time
	// Neighbour finds the MAC of an on-link address when no path named it; nil for none.
	Neighbour func(netip.Addr) (inventory.MAC, bool)
}

// NewRecorder returns a recorder that Run works for.
func NewRecorder(t *Table, s inventory.Store, now func() time.Time, log *slog.Logger) *Recorder {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Recorder{table: t, store: s, now: now, log: log, queue: make(chan observation, queueLength),
		attempts: map[inventory.MAC]*attempt{}, byIP: map[netip.Addr]inventory.MAC{}, pending: map[sightingKey]*inventory.Sighting{},
		streaks: map[streakKey]*streak{}}
}

// Run records until ctx ends, then stores what is pending.
func (r *Recorder) Run(ctx context.Context) error {
	tick, pause := time.NewTicker(flushEvery), time.NewTimer(0)
	defer tick.Stop()
	defer pause.Stop()
	var due [][]sightingKey // chunks to be stored, with pauses between
	for {
		var next <-chan time.Time
		if len(due) > 0 {
			next = pause.C
		}
		select {
		case <-ctx.Done():
			return r.drain()
		case o := <-r.queue:
			r.record(ctx, o)
		case <-tick.C:
			if due = r.chunks(chunkMax); len(due) > 0 { // an idle server writes nothing
				r.trim(ctx)
			}
		case <-next:
			due = r.keepFirst(ctx, due)
			pause.Reset(chunkPause)
		}
	}
}

// keepFirst stores the first chunk and returns the others; none when that failed: they
// are pending still, and due again at the next tick.
func (r *Recorder) keepFirst(ctx context.Context, due [][]sightingKey) [][]sightingKey {
	if !r.keep(ctx, due[0]) {
		return nil
	}
	return due[1:]
}

// drainTime bounds the last write at the end.
const drainTime = 5 * time.Second

func (r *Recorder) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	for {
		select {
		case o := <-r.queue:
			r.record(ctx, o)
		default:
			r.flush(ctx)
			return nil
		}
	}
}

func (r *Recorder) record(ctx context.Context, o observation) {
	var err error
	switch {
	case o.sighting != nil:
		r.count(o.sighting)
	case o.boot != nil:
		err = r.bootStarted(ctx, *o.boot)
	case o.file != nil:
		err = r.fileEnded(ctx, *o.file)
	case o.script != nil:
		err = r.scriptServed(ctx, *o.script)
	}
	if err != nil {
		r.log.Error("record boot", "err", err)
	}
}
