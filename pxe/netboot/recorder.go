package netboot

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"slices"
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
	// Sightings are stored chunkRows in a transaction, so that a lease does not wait for
	// long, and chunkMax times in a flush; the others wait for the next.
	chunkRows = 16
	chunkMax  = 32
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

type sightingKey struct {
	mac    inventory.MAC
	kind   inventory.SightingKind
	detail string
}

// observation is one thing to record; exactly one field is set.
type observation struct {
	sighting *inventory.Sighting
	boot     *bootSeen
	file     *FileSeen
	script   *scriptSeen
}

type bootSeen struct {
	client Client
	class  string
	offer  Offer
	at     time.Time
}

type scriptSeen struct {
	mac    inventory.MAC
	name   string
	script Script
	at     time.Time
}

// FileSeen is the end of a transfer of a boot file.
type FileSeen struct {
	// MAC is from the path; empty when the path had none, and found by Client then.
	MAC    inventory.MAC
	Client netip.Addr
	inventory.BootFile
	At time.Time
}

// attempt is one network boot of one client.
type attempt struct {
	id    string
	boot  bootSeen
	file  string
	chain inventory.BootChain
	// whole is set when the loader went out whole; followed when anything came after.
	whole, followed bool
	// told is set when the machine's timeline has the start of it.
	told  bool
	files map[string]inventory.FileOutcome
	last  time.Time
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

// Saw records a sighting. It never blocks. In a flood those of unknown MACs are left out.
func (r *Recorder) Saw(s inventory.Sighting) {
	if r.full.Load() && !r.table.Known(s.MAC) {
		return
	}
	seen := s // what is left out is not worth an allocation
	r.put(observation{sighting: &seen})
}

// SawBoot records that a client asked to boot and what it was offered.
func (r *Recorder) SawBoot(c Client, class string, o Offer) {
	r.put(observation{boot: &bootSeen{client: c, class: class, offer: o, at: r.now()}})
}

// SawFile records the end of a transfer; a zero time is now.
func (r *Recorder) SawFile(f FileSeen) {
	if f.At.IsZero() {
		f.At = r.now()
	}
	r.put(observation{file: &f})
}

// SawScript records that a script was served.
func (r *Recorder) SawScript(mac inventory.MAC, name string, s Script) {
	r.put(observation{script: &scriptSeen{mac: mac, name: name, script: s, at: r.now()}})
}

func (r *Recorder) put(o observation) {
	select {
	case r.queue <- o:
	default:
	}
}

// Run records until ctx ends, then stores what is pending.
func (r *Recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return r.drain()
		case o := <-r.queue:
			r.record(ctx, o)
		case <-tick.C:
			r.flush(ctx, chunkMax)
		}
	}
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
			r.flush(ctx, maxPending)
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

// count coalesces a sighting until the next flush.
func (r *Recorder) count(s *inventory.Sighting) {
	r.row(s)
	key := sightingKey{s.MAC, s.Kind, s.Detail}
	if old, ok := r.pending[key]; ok {
		old.Count += s.Count
		old.Last, old.Values = s.Last, s.Values
		return
	}
	if len(r.pending) >= maxPending && !r.table.Known(s.MAC) {
		return
	}
	r.pending[key] = s
	r.full.Store(len(r.pending) >= maxPending)
}

// flush stores what is pending, of known machines first: up to chunks transactions.
func (r *Recorder) flush(ctx context.Context, chunks int) {
	if len(r.pending) == 0 {
		return
	}
	for keys := range slices.Chunk(r.due(chunks*chunkRows), chunkRows) {
		batch := make([]inventory.Sighting, len(keys))
		for i, key := range keys {
			batch[i] = *r.pending[key]
		}
		err := r.store.Update(ctx, func(x inventory.Tx) error { return x.PutSightings(ctx, batch) })
		if err != nil {
			r.log.Error("store sightings", "err", err)
			return
		}
		for _, key := range keys {
			delete(r.pending, key)
		}
		r.full.Store(len(r.pending) >= maxPending)
	}
	if r.now().Sub(r.trimmed) < trimEvery {
		return
	}
	r.trimmed = r.now()
	err := r.store.Update(ctx, func(x inventory.Tx) error { return x.TrimSightings(ctx, keepUnknownRows, r.now().Add(-keepKnown)) })
	if err != nil {
		r.log.Error("trim sightings", "err", err)
	}
}

// due are the keys of up to n pending sightings.
func (r *Recorder) due(n int) []sightingKey {
	var known, others []sightingKey
	for key := range r.pending {
		switch {
		case r.table.Known(key.mac):
			known = append(known, key)
		case len(others) < n:
			others = append(others, key)
		}
	}
	all := append(known, others...)
	return all[:min(n, len(all))]
}

func newAttemptID() string { return rand.Text()[:10] }
