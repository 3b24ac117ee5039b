package drivertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/hypervisor"
)

// contexts: a call whose context has ended, or ends under way, returns soon, and what it
// left can be finished or deleted.
func contexts(t *testing.T, h Harness) {
	d := h.ready(t, "contexts")
	before := h.Left(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func(context.Context) error{
		"check":  func(ctx context.Context) error { _, err := d.Check(ctx); return err },
		"images": func(ctx context.Context) error { _, err := d.Images(ctx); return err },
		"ensure": func(ctx context.Context) error { return d.EnsureImage(ctx, h.Image, nil) },
		"create": func(ctx context.Context) error { _, err := d.Create(ctx, h.small("m-ended", "ended")); return err },
		"get":    func(ctx context.Context) error { _, err := d.Get(ctx, "m-ended"); return err },
		"list":   func(ctx context.Context) error { _, err := d.List(ctx); return err },
		"power":  func(ctx context.Context) error { return d.SetPower(ctx, "m-ended", hypervisor.On, hypervisor.Force) },
		"delete": func(ctx context.Context) error { return d.Delete(ctx, "m-ended") },
	} {
		start := time.Now()
		if err := call(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want the context's error", name, err)
		}
		if took := time.Since(start); took > h.Soon {
			t.Errorf("%s took %s after its context ended", name, took)
		}
	}
	for limit := time.Millisecond; limit < 20*time.Second; limit *= 4 {
		short, cancel := context.WithTimeout(t.Context(), limit)
		start := time.Now()
		_, err := d.Create(short, h.small("m-short", "short"))
		cancel()
		if took := time.Since(start); took > limit+h.Soon {
			t.Errorf("create took %s, its time was %s", took, limit)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("create with %s: %v", limit, err)
		}
	}
	if err := d.Delete(t.Context(), "m-short"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, h.Left(t)); diff != "" {
		t.Errorf("left at the host (-before +after):\n%s", diff)
	}
}
