package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"ingot/inventory"
)

func sortByIP(as []inventory.Address) {
	slices.SortFunc(as, func(a, b inventory.Address) int { return a.IP.Compare(b.IP) })
}

const (
	nextEvent = `UPDATE counters SET value = value + 1 WHERE name = 'events' RETURNING value`
	putEvent  = `INSERT INTO events (seq, machine, kind, doc) VALUES (?, ?, ?, ?)`

	sightingDoc = `SELECT doc FROM sightings WHERE mac = ? AND kind = ? AND detail = ?`
	putSighting = `INSERT INTO sightings (mac, kind, detail, last, doc) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (mac, kind, detail) DO UPDATE SET last = excluded.last, doc = excluded.doc`
)

// AddEvent implements inventory.EventStore.
func (x *tx) AddEvent(ctx context.Context, e inventory.Event) (int64, error) {
	if err := x.row(ctx, nextEvent).Scan(&e.Seq); err != nil {
		return 0, fmt.Errorf("number event: %w", err)
	}
	text, err := encode(e)
	if err != nil {
		return 0, err
	}
	if _, err := x.exec(ctx, putEvent, e.Seq, e.Machine, string(e.Kind), text); err != nil {
		return 0, fmt.Errorf("write event: %w", err)
	}
	x.events = true
	return e.Seq, nil
}

// Events implements inventory.EventStore.
func (x *tx) Events(ctx context.Context, q inventory.EventQuery) ([]inventory.Event, error) {
	query, args := `SELECT doc FROM events WHERE seq > ?`, []any{q.After}
	if q.Before > 0 {
		query, args = query+` AND seq < ?`, append(args, q.Before)
	}
	if q.Machine != "" {
		query, args = query+` AND machine = ?`, append(args, q.Machine)
	}
	if len(q.Kinds) > 0 {
		query += ` AND kind IN (` + marks(len(q.Kinds)) + `)`
		for _, k := range q.Kinds {
			args = append(args, string(k))
		}
	}
	query += ` ORDER BY seq DESC`
	if q.Limit > 0 {
		query, args = query+` LIMIT ?`, append(args, q.Limit)
	}
	es, err := docs[inventory.Event](ctx, x, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	slices.Reverse(es)
	return es, nil
}

// PutSightings implements inventory.EventStore.
func (x *tx) PutSightings(ctx context.Context, ss []inventory.Sighting) error {
	for _, s := range ss {
		if err := x.putSighting(ctx, s); err != nil {
			return fmt.Errorf("write sighting of %s: %w", s.MAC, err)
		}
	}
	return nil
}

func (x *tx) putSighting(ctx context.Context, s inventory.Sighting) error {
	var text string
	err := x.row(ctx, sightingDoc, string(s.MAC), string(s.Kind), s.Detail).Scan(&text)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	default:
		old, err := decode[inventory.Sighting](text)
		if err != nil {
			return err
		}
		s.Count += old.Count
		s.First = old.First
	}
	if text, err = encode(s); err != nil {
		return err
	}
	_, err = x.exec(ctx, putSighting, string(s.MAC), string(s.Kind), s.Detail, s.Last.UnixNano(), text)
	return err
}

// Sightings implements inventory.EventStore.
func (x *tx) Sightings(ctx context.Context, macs []inventory.MAC) ([]inventory.Sighting, error) {
	if len(macs) == 0 {
		return nil, nil
	}
	var args []any
	for _, mac := range macs {
		args = append(args, string(mac))
	}
	ss, err := docs[inventory.Sighting](ctx, x, `SELECT doc FROM sightings WHERE mac IN (`+marks(len(macs))+`) ORDER BY last DESC`, args...)
	if err != nil {
		return nil, fmt.Errorf("read sightings: %w", err)
	}
	return ss, nil
}

// TrimSightings implements inventory.EventStore.
func (x *tx) TrimSightings(ctx context.Context, n int, before time.Time) error {
	_, err := x.exec(ctx, `DELETE FROM sightings WHERE mac NOT IN (SELECT mac FROM macs) AND last < (
		SELECT COALESCE(MIN(last), 0) FROM (SELECT last FROM sightings WHERE mac NOT IN (SELECT mac FROM macs) ORDER BY last DESC LIMIT ?) AS newest)`, n)
	if err == nil {
		_, err = x.exec(ctx, `DELETE FROM sightings WHERE last < ?`, before.UnixNano())
	}
	if err != nil {
		return fmt.Errorf("trim sightings: %w", err)
	}
	return nil
}
