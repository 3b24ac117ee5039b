package why

import (
	"fmt"
	"slices"
	"time"

	"ingot/inventory"
)

// boot is when the present attempt to boot began: the newest start of a network boot, or
// else the time of the newest evidence of one.
func (ev Evidence) boot() time.Time {
	var t time.Time
	for _, e := range ev.Events {
		if e.Kind == inventory.EventBoot && e.Time.After(t) {
			t = e.Time
		}
	}
	return t
}

// saw sums the sightings of a kind since t; the newest of them is returned with it.
func (ev Evidence) saw(kind inventory.SightingKind) (newest inventory.Sighting, count int64) {
	for _, s := range ev.Sightings {
		if s.Kind != kind {
			continue
		}
		count += s.Count
		if s.Last.After(newest.Last) {
			newest = s
		}
	}
	return newest, count
}

// last returns the newest event of one of the kinds, decoded.
func last[T inventory.Payload](events []inventory.Event) (p T, at time.Time, ok bool) {
	for _, e := range slices.Backward(events) {
		if e.Kind != p.Kind() {
			continue
		}
		if decoded, err := e.Decode(); err == nil {
			if typed, fits := decoded.(T); fits {
				return typed, e.Time, true
			}
		}
	}
	return p, at, false
}

// since returns the decoded events of one kind from t on, oldest first.
func since[T inventory.Payload](events []inventory.Event, t time.Time) []T {
	var out []T
	var kind T
	for _, e := range events {
		if e.Kind != kind.Kind() || e.Time.Before(t) {
			continue
		}
		if decoded, err := e.Decode(); err == nil {
			if typed, fits := decoded.(T); fits {
				out = append(out, typed)
			}
		}
	}
	return out
}

// ago is a time before now in words.
func (ev Evidence) ago(t time.Time) string {
	d := ev.Now.Sub(t)
	switch {
	case d < 2*time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h ago", int(d.Hours()))
}

func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
