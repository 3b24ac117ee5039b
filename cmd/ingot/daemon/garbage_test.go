package daemon

import (
	"context"
	"slices"
	"testing"
	"time"
)

// TestPostponeGarbage: a rush of clients holds the collector back, its end lets it go on.
func TestPostponeGarbage(t *testing.T) {
	counts := []int64{0, 0, 499, 999, 2999, 3009, 3009}
	next := func() int64 { n := counts[0]; counts = counts[1:]; return n }
	tick, set := make(chan time.Time), make(chan int, 8)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		postponeGarbage(ctx, next, tick, func(percent int) { set <- percent })
	}()
	for range 6 {
		tick <- time.Time{}
	}
	cancel()
	<-done
	close(set)
	var got []int
	for p := range set {
		got = append(got, p)
	}
	if want := []int{-1, garbagePercent}; !slices.Equal(got, want) {
		t.Errorf("percents %v, want %v", got, want)
	}
}
