package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"ingot/inventory"
)

func event(t *testing.T, m *inventory.Machine, step string) inventory.Event {
	t.Helper()
	e, err := inventory.NewEvent(m, t0, inventory.Recovered{Step: step})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func eventsInOrder(t *testing.T, s inventory.Store) {
	a, b := Machine(1), Machine(2)
	update(t, s, func(ctx context.Context, x inventory.Tx) error {
		for i := range 10 {
			m := a
			if i%2 == 1 {
				m = b
			}
			if _, err := x.AddEvent(ctx, event(t, m, fmt.Sprint(i))); err != nil {
				return err
			}
		}
		return nil
	})
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		all, err := x.Events(ctx, inventory.EventQuery{})
		for i, e := range all {
			if e.Seq != int64(i+1) {
				t.Errorf("event %d has seq %d", i, e.Seq)
			}
		}
		last, err1 := x.Events(ctx, inventory.EventQuery{Machine: b.ID, Limit: 2})
		if len(all) != 10 || len(last) != 2 || last[1].Text() != "9 goes on" {
			t.Errorf("all %d, last %+v", len(all), last)
		}
		return errors.Join(err, err1)
	})
}

var errEnough = errors.New("enough")

func follow(t *testing.T, s inventory.Store) {
	const n = 50
	update(t, s, func(ctx context.Context, x inventory.Tx) error {
		_, err := x.AddEvent(ctx, event(t, nil, "first"))
		return err
	})
	done := make(chan error, 1)
	var seen []int64
	go func() {
		done <- s.Follow(t.Context(), 0, func(e inventory.Event) error {
			if seen = append(seen, e.Seq); len(seen) == n {
				return errEnough
			}
			return nil
		})
	}()
	for range n - 1 {
		update(t, s, func(ctx context.Context, x inventory.Tx) error {
			_, err := x.AddEvent(ctx, event(t, nil, "x"))
			return err
		})
	}
	wantErr(t, <-done, errEnough)
	for i, seq := range seen {
		if seq != int64(i+1) {
			t.Fatalf("event %d has seq %d", i, seq)
		}
	}
}

func sightings(t *testing.T, s inventory.Store) {
	put(t, s, Machine(1))
	known := Machine(1).Identity.MACs[0]
	update(t, s, func(ctx context.Context, x inventory.Tx) error {
		for i := range 3 {
			at := t0.Add(time.Duration(i) * time.Second)
			if err := x.PutSightings(ctx, []inventory.Sighting{{MAC: known, Kind: inventory.SawDiscover, Count: 2, First: at, Last: at}}); err != nil {
				return err
			}
		}
		for i := range 20 {
			at := t0.Add(time.Duration(i) * time.Minute)
			mac := inventory.MAC(fmt.Sprintf("02:00:00:00:00:%02x", i))
			if err := x.PutSightings(ctx, []inventory.Sighting{{MAC: mac, Kind: inventory.SawDiscover, Count: 1, First: at, Last: at}}); err != nil {
				return err
			}
		}
		old := inventory.Sighting{MAC: known, Kind: inventory.SawOffer, Count: 1, First: t0.Add(-2 * time.Hour), Last: t0.Add(-time.Hour)}
		if err := x.PutSightings(ctx, []inventory.Sighting{old}); err != nil {
			return err
		}
		return x.TrimSightings(ctx, 5, t0)
	})
	view(t, s, func(ctx context.Context, x inventory.Tx) error {
		got, err := x.Sightings(ctx, []inventory.MAC{known})
		if len(got) != 1 || got[0].Count != 6 || !got[0].First.Equal(t0) || !got[0].Last.Equal(t0.Add(2*time.Second)) {
			t.Errorf("known: %+v", got)
		}
		newest, err1 := x.Sightings(ctx, []inventory.MAC{"02:00:00:00:00:13", "02:00:00:00:00:0f", "02:00:00:00:00:0e", "02:00:00:00:00:00"})
		if len(newest) != 2 {
			t.Errorf("after trim: %+v", newest)
		}
		return errors.Join(err, err1)
	})
}
