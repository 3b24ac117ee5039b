package netboot

import (
	"context"
	"slices"

	"ingot/inventory"
)

type sightingKey struct {
	mac    inventory.MAC
	kind   inventory.SightingKind
	detail string
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

// flush stores all that is pending, one transaction after the other.
func (r *Recorder) flush(ctx context.Context) {
	for _, keys := range r.chunks(maxPending) {
		if !r.keep(ctx, keys) {
			return
		}
	}
}

// chunks are what is pending, of known machines first, in up to n transactions.
func (r *Recorder) chunks(n int) [][]sightingKey {
	return slices.Collect(slices.Chunk(r.due(n*chunkRows), chunkRows))
}

// keep stores some pending sightings, in one transaction.
func (r *Recorder) keep(ctx context.Context, keys []sightingKey) bool {
	batch := make([]inventory.Sighting, len(keys))
	for i, key := range keys {
		batch[i] = *r.pending[key]
	}
	if err := r.store.Update(ctx, func(x inventory.Tx) error { return x.PutSightings(ctx, batch) }); err != nil {
		r.log.Error("store sightings", "err", err)
		return false
	}
	for _, key := range keys {
		delete(r.pending, key)
	}
	r.full.Store(len(r.pending) >= maxPending)
	return true
}

// trim removes what is not kept, once in a while.
func (r *Recorder) trim(ctx context.Context) {
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
