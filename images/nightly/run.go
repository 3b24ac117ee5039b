package nightly

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"ingot/inventory"
)

// run runs a plan once and writes down how it went. Its failure is the row's, and not an
// error of the scheduler.
func (s *Scheduler) run(ctx context.Context, p Plan) error {
	began := s.cfg.Now()
	name := fmt.Sprintf("nightly-%s-%s", p.Name, began.UTC().Format("20060102-150405"))
	anew, err := s.begin(ctx, p, began, name)
	if err != nil {
		return err
	}
	out := &inventory.ScheduleRun{Began: began}
	event := inventory.BuildEnded{Schedule: p.Name}
	result, err := s.work(ctx, p, name, anew, func(step string) {
		event.Step = step
		if err := s.edit(ctx, p.Name, func(row *inventory.Schedule) { row.Step = step }); err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("write step", "schedule", p.Name, "err", err)
		}
	})
	if ctx.Err() != nil {
		return ctx.Err() // the row says that it runs: the next server begins it anew
	}
	out.Digest, out.Unchanged, out.Ended = result.Digest, result.Unchanged, s.cfg.Now()
	event.Image, event.Digest, event.Unchanged = result.Image, result.Digest, result.Unchanged
	if err != nil {
		out.Step, out.Problem, event.Problem = event.Step, err.Error(), err.Error()
	} else {
		event.Step = ""
	}
	return s.end(ctx, p, out, event)
}

// begin notes that a run is under way, and says what befell the one that it begins anew.
func (s *Scheduler) begin(ctx context.Context, p Plan, began time.Time, log string) (anew string, err error) {
	s.mu.Lock()
	delete(s.now, p.Name)
	s.mu.Unlock()
	err = s.edit(ctx, p.Name, func(row *inventory.Schedule) {
		row.Running, row.Step, row.Log = began, "", log
		anew = row.Anew
	})
	return anew, err
}

// work runs the plan's work under its limit, with its log open.
func (s *Scheduler) work(ctx context.Context, p Plan, name, anew string, step func(string)) (Result, error) {
	log := io.WriteCloser(discard{})
	if s.cfg.OpenLog != nil {
		opened, err := s.cfg.OpenLog(name)
		if err != nil {
			return Result{}, fmt.Errorf("open log: %w", err)
		}
		log = opened
	}
	if anew != "" {
		fmt.Fprintf(log, "begun anew: the run before was %s\n", anew)
	}
	limited, cancel := context.WithTimeout(ctx, p.Limit)
	defer cancel()
	result, err := s.cfg.Work(limited, p.Name, log, step)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = &overTimeError{p.Limit, err}
	}
	if err != nil {
		fmt.Fprintf(log, "failed: %v\n", err)
	}
	if closed := log.Close(); closed != nil {
		s.cfg.Log.Warn("close log", "log", name, "err", closed)
	}
	return result, err
}

// overTimeError is a run that was ended by its limit, while it did what err says.
type overTimeError struct {
	limit time.Duration
	err   error
}

func (e *overTimeError) Error() string {
	text := fmt.Sprintf("it took longer than %s", e.limit)
	if e.err == context.DeadlineExceeded {
		return text
	}
	return text + ": " + strings.TrimSuffix(e.err.Error(), ": "+context.DeadlineExceeded.Error())
}

func (e *overTimeError) Unwrap() error { return e.err }

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }

// end writes the run down with its event, and when the next one is due.
func (s *Scheduler) end(ctx context.Context, p Plan, run *inventory.ScheduleRun, event inventory.BuildEnded) error {
	e, err := inventory.NewEvent(nil, s.cfg.Now(), event)
	if err != nil {
		return err
	}
	return s.cfg.Store.Update(ctx, func(x inventory.Tx) error {
		err := edit(ctx, x, p.Name, func(row *inventory.Schedule) {
			run.Anew = row.Anew
			row.Running, row.Step, row.Anew, row.Last, row.Due = time.Time{}, "", "", run, p.Times.Next(s.cfg.Now())
			row.Failures++
			if run.Problem == "" {
				row.Failures = 0
			}
		})
		_, added := x.AddEvent(ctx, e)
		return errors.Join(err, added)
	})
}

func (s *Scheduler) edit(ctx context.Context, name string, f func(*inventory.Schedule)) error {
	return s.cfg.Store.Update(ctx, func(x inventory.Tx) error { return edit(ctx, x, name, f) })
}

func edit(ctx context.Context, x inventory.Tx, name string, f func(*inventory.Schedule)) error {
	rows, err := x.Schedules(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.Name == name {
			f(&row)
			return x.PutSchedule(ctx, row)
		}
	}
	return inventory.NotFound("schedule", name)
}
