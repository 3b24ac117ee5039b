package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"ingot/images/build"
	"ingot/images/nightly"
	"ingot/images/publish"
	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/inventory/journal"
)

// schedules implements rest.Schedules, and does what is due.
type schedules struct {
	*nightly.Scheduler
	plans  []Nightly
	images *imageWork
	sets   *bootWork
	boot   BootEnvironment
	store  inventory.Store
}

func newSchedules(d *Daemon) (*schedules, error) {
	s := &schedules{plans: d.cfg.Nightly, images: d.images, sets: d.sets, boot: d.cfg.BootEnvironment, store: d.store}
	cfg := nightly.Config{Store: d.store, Work: s.work, Now: d.now, Log: d.log.With("component", "nightly"),
		OpenLog: func(name string) (io.WriteCloser, error) {
			if err := pruneLogs(d.journal, name); err != nil {
				return nil, err
			}
			return stream{d.journal, name}, nil
		}}
	for _, n := range d.cfg.Nightly {
		p, err := n.plan()
		if err != nil {
			return nil, err
		}
		cfg.Plans = append(cfg.Plans, p)
		// Not fatal: its folder may be there when it is due.
		if _, err := recipeOf(api.ImageBuild{Recipe: n.Recipe, Set: n.Set}); err != nil {
			d.log.Warn("a nightly build would fail now", "schedule", n.Name, "err", err)
		}
	}
	if p, ok, err := d.cfg.BootEnvironment.plan(); err != nil {
		return nil, err
	} else if ok {
		cfg.Plans = append(cfg.Plans, p)
	}
	s.Scheduler = nightly.New(cfg)
	return s, nil
}

// stream writes into the journal.
type stream struct {
	journal *journal.Journal
	name    string
}

// keptLogs is how many runs of a schedule keep their logs.
const keptLogs = 14

// logStamp ends the name of a run's log (images/nightly).
const logStamp = "00000000-000000"

// pruneLogs removes the oldest logs of the schedule that a log is of.
func pruneLogs(j *journal.Journal, name string) error {
	prefix := name[:len(name)-len(logStamp)]
	names, err := j.Names(prefix)
	if err != nil {
		return err
	}
	// Another schedule's name may begin with this one's.
	names = slices.DeleteFunc(names, func(n string) bool { return len(n) != len(name) })
	for len(names) >= keptLogs {
		if err := j.Remove(names[0]); err != nil {
			return err
		}
		names = names[1:]
	}
	return nil
}

func (s stream) Write(p []byte) (int, error) { return len(p), s.journal.Append(s.name, p) }
func (stream) Close() error                  { return nil }

func (s *schedules) plan(name string) (Nightly, bool) {
	for _, n := range s.plans {
		if n.Name == name {
			return n, true
		}
	}
	return Nightly{}, false
}

// work is one run of a plan.
func (s *schedules) work(ctx context.Context, name string, log io.Writer, step func(string)) (nightly.Result, error) {
	if name == bootSchedule {
		return s.sets.scheduled(ctx, log, step)
	}
	return s.night(ctx, name, log, step)
}

// night is one night of one recipe: build, look into, keep, boot-test, sign, point to,
// promote by the rules, and collect what nobody needs.
func (s *schedules) night(ctx context.Context, name string, log io.Writer, step func(string)) (nightly.Result, error) {
	n, ok := s.plan(name)
	if !ok {
		return nightly.Result{}, inventory.NotFound("schedule", name)
	}
	now := ""
	tell := func(st publish.Step) {
		if st.Name != now {
			now = st.Name
			fmt.Fprintln(log, "==", now)
			step(now)
		}
	}
	step("recipe")
	recipe, err := recipeOf(api.ImageBuild{Recipe: n.Recipe, Set: n.Set})
	if err != nil {
		return nightly.Result{}, err
	}
	made, err := s.images.publish.Build(ctx, publish.Order{Recipe: recipe, Version: s.images.version(), Force: true}, log, tell)
	out := nightly.Result{Image: recipe.Name, Digest: made.Image.Digest, Unchanged: made.Unchanged}
	if err == nil {
		err = s.publish(ctx, n, recipe, made, tell)
	}
	var at *publish.StepError
	if errors.As(err, &at) {
		step(at.Step)
	}
	return out, errors.Join(err, s.images.mirror(ctx))
}

// publish tests what was made, also for a channel that never pointed anywhere, and moves
// the channels.
func (s *schedules) publish(ctx context.Context, n Nightly, recipe build.Recipe, made publish.Result, tell func(publish.Step)) error {
	p := s.images.publish
	image, err := p.Test(ctx, made.Image, nil, made.Unchanged && publish.Passed(made.Image, n.passes()), tell)
	if err != nil {
		return &publish.StepError{Step: "boot test", Err: err}
	}
	if err := image.Proven(); err != nil {
		return &publish.StepError{Step: "boot test", Err: err}
	}
	if _, err := p.Release(ctx, image, publish.Move{Channel: n.channel(), Why: "nightly build " + n.Name}, tell); err != nil {
		return err
	}
	for _, r := range n.Promote {
		tell(publish.Step{Name: "promote to " + r.To})
		if _, _, err := p.Apply(ctx, recipe.Name, publish.Rule(r)); err != nil {
			return &publish.StepError{Step: "promote to " + r.To, Err: err}
		}
	}
	if !s.images.cfg.Collect {
		return nil
	}
	tell(publish.Step{Name: "collect"})
	plan, err := s.images.plan(ctx)
	if err == nil {
		err = s.images.collect(ctx, plan)
	}
	if err != nil || s.images.share == nil {
		return err
	}
	_, err = s.images.collectBucket(ctx, false)
	if errors.Is(err, inventory.ErrBusy) {
		s.images.log.Warn("the bucket is collected another time", "err", err)
		return nil
	}
	return err
}

// List implements rest.Schedules.
func (s *schedules) List(ctx context.Context) ([]api.ScheduleRow, error) {
	rows := []api.ScheduleRow{}
	err := s.store.View(ctx, func(x inventory.Tx) error {
		all, err := x.Schedules(ctx)
		for _, row := range all {
			if row.Name == bootSchedule {
				rows = append(rows, api.ScheduleRow{Schedule: row, Times: s.boot.times(), Recipe: "boot environment"})
			}
			if n, ok := s.plan(row.Name); ok {
				rows = append(rows, api.ScheduleRow{Schedule: row, Times: n.Times, Recipe: n.Recipe, Channel: n.channel()})
			}
		}
		return err
	})
	return rows, err
}
