package nightly

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"ingot/inventory"
)

// Result is what a run made.
type Result struct {
	// Image is its name, Digest the version that was made, or found to be the same.
	Image, Digest string
	Unchanged     bool
}

// Work does what a plan stands for. What it does it writes to log; step is told when a
// step begins. It ends soon after ctx does and can be begun anew after it was cut short
// at any place.
type Work func(ctx context.Context, plan string, log io.Writer, step func(string)) (Result, error)

// Config is what a scheduler works with.
type Config struct {
	Store inventory.Store
	Plans []Plan
	Work  Work
	// OpenLog opens the log of a run; nil discards it.
	OpenLog func(name string) (io.WriteCloser, error)
	Now     func() time.Time
	// Ticks is when the scheduler looks whether something is due; nil is each second.
	Ticks <-chan time.Time
	Log   *slog.Logger
}

// Scheduler runs plans when they are due. It is safe for many goroutines.
type Scheduler struct {
	cfg Config

	mu  sync.Mutex
	now map[string]bool // asked for by hand
}

// New returns a scheduler; Run runs it.
func New(cfg Config) *Scheduler { return &Scheduler{cfg: cfg, now: map[string]bool{}} }

// Run runs what is due until ctx ends. A run under way is cut short then and begun anew by
// the next server.
func (s *Scheduler) Run(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return fmt.Errorf("schedules: %w", err)
	}
	ticks := s.cfg.Ticks
	if ticks == nil {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		ticks = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks:
		}
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.Error("run what is due", "err", err)
		}
	}
}

// prepare makes the rows fit the plans: new ones are due at their next time, those of
// plans that are gone go, and what was cut short is due now.
func (s *Scheduler) prepare(ctx context.Context) error {
	return s.cfg.Store.Update(ctx, func(x inventory.Tx) error {
		rows, err := x.Schedules(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			at := slices.IndexFunc(s.cfg.Plans, func(p Plan) bool { return p.Name == row.Name })
			if at < 0 {
				if err := x.DeleteSchedule(ctx, row.Name); err != nil {
					return err
				}
				continue
			}
			if err := x.PutSchedule(ctx, s.anew(row, s.cfg.Plans[at])); err != nil {
				return err
			}
		}
		for _, p := range s.cfg.Plans {
			if slices.ContainsFunc(rows, func(r inventory.Schedule) bool { return r.Name == p.Name }) {
				continue
			}
			if err := x.PutSchedule(ctx, inventory.Schedule{Name: p.Name, Due: p.Times.Next(s.cfg.Now())}); err != nil {
				return err
			}
		}
		return nil
	})
}

// anew is a row as a server that starts takes it.
func (s *Scheduler) anew(row inventory.Schedule, p Plan) inventory.Schedule {
	now := s.cfg.Now()
	if !row.Running.IsZero() {
		row.Anew = fmt.Sprintf("killed at %s: the server ended", cmp.Or(row.Step, "its beginning"))
		row.Due, row.Running, row.Step = now, time.Time{}, ""
	}
	// The times may have been changed: what is far away is reckoned again.
	if next := p.Times.Next(now); row.Due.After(now) {
		row.Due = next
	}
	return row
}

// Now has a plan run as soon as it can. One that is not there is inventory.ErrNotFound;
// one that runs is inventory.ErrBusy.
func (s *Scheduler) Now(ctx context.Context, name string) error {
	row, err := s.row(ctx, name)
	if err != nil {
		return err
	}
	if !row.Running.IsZero() {
		return fmt.Errorf("schedule %s runs since %s: %w", name, row.Running.Local().Format(time.DateTime), inventory.ErrBusy)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now[name] = true
	return nil
}

func (s *Scheduler) row(ctx context.Context, name string) (row inventory.Schedule, err error) {
	err = s.cfg.Store.View(ctx, func(x inventory.Tx) error {
		rows, err := x.Schedules(ctx)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(rows, func(r inventory.Schedule) bool { return r.Name == name })
		if at < 0 {
			return inventory.NotFound("schedule", name)
		}
		row = rows[at]
		return nil
	})
	return row, err
}

// look runs all that is due, the longest due first.
func (s *Scheduler) look(ctx context.Context) error {
	var errs []error
	for ctx.Err() == nil {
		p, ok, err := s.due(ctx)
		if err != nil || !ok {
			return errors.Join(append(errs, err)...)
		}
		errs = append(errs, s.run(ctx, p))
	}
	return errors.Join(errs...)
}

func (s *Scheduler) due(ctx context.Context) (plan Plan, found bool, err error) {
	err = s.cfg.Store.View(ctx, func(x inventory.Tx) error {
		rows, err := x.Schedules(ctx)
		if err != nil {
			return err
		}
		slices.SortFunc(rows, func(a, b inventory.Schedule) int { return a.Due.Compare(b.Due) })
		for _, row := range rows {
			if !s.wanted(row) {
				continue
			}
			if at := slices.IndexFunc(s.cfg.Plans, func(p Plan) bool { return p.Name == row.Name }); at >= 0 {
				plan, found = s.cfg.Plans[at], true
				return nil
			}
		}
		return nil
	})
	return plan, found, err
}

func (s *Scheduler) wanted(row inventory.Schedule) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now[row.Name] || !row.Due.After(s.cfg.Now())
}
