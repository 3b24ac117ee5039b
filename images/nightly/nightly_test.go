package nightly_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ingot/images/nightly"
	"ingot/inventory"
	"ingot/inventory/sqlstore"
)

// night is a scheduler on a real store, with a clock and ticks that the test gives.
type night struct {
	t     *testing.T
	store inventory.Store
	plans []nightly.Plan
	work  nightly.Work
	logs  map[string]*strings.Builder

	mu  sync.Mutex
	now time.Time
}

func newNight(t *testing.T, plans ...nightly.Plan) *night {
	t.Helper()
	store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ingot.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return &night{t: t, store: store, plans: plans, logs: map[string]*strings.Builder{}, now: time.Date(2026, 11, 28, 1, 59, 0, 0, time.UTC)}
}

func (n *night) pass(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = n.now.Add(d)
}

func (n *night) clock() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

type closer struct{ *strings.Builder }

func (closer) Close() error { return nil }

// server runs a scheduler; tick lets the clock go on and returns when all that was due
// then has run; stop ends it.
func (n *night) server() (s *nightly.Scheduler, tick func(time.Duration), stop func()) {
	n.t.Helper()
	ctx, cancel := context.WithCancel(n.t.Context())
	ticks := make(chan time.Time)
	s = nightly.New(nightly.Config{Store: n.store, Plans: n.plans, Work: n.work, Now: n.clock, Ticks: ticks, Log: slog.New(slog.DiscardHandler),
		OpenLog: func(name string) (io.WriteCloser, error) {
			n.logs[name] = &strings.Builder{}
			return closer{n.logs[name]}, nil
		}})
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	tick = func(d time.Duration) {
		n.pass(d)
		for range 2 { // the second is taken when the first one's runs are over
			select {
			case ticks <- n.clock():
			case <-n.t.Context().Done():
			}
		}
	}
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			n.t.Error(err)
		}
	}
	n.t.Cleanup(cancel)
	return s, tick, stop
}

func (n *night) row(name string) inventory.Schedule {
	n.t.Helper()
	var found inventory.Schedule
	if err := n.store.View(n.t.Context(), func(x inventory.Tx) error {
		rows, err := x.Schedules(n.t.Context())
		for _, r := range rows {
			if r.Name == name {
				found = r
			}
		}
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
	return found
}

func (n *night) events() (texts []string) {
	n.t.Helper()
	if err := n.store.View(n.t.Context(), func(x inventory.Tx) error {
		events, err := x.Events(n.t.Context(), inventory.EventQuery{Kinds: []inventory.EventKind{inventory.EventBuild}})
		for _, e := range events {
			texts = append(texts, e.Text())
		}
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
	return texts
}

func plan(t *testing.T, name, spec string) nightly.Plan {
	t.Helper()
	times, err := nightly.ParseTimes("CRON_TZ=UTC " + spec)
	if err != nil {
		t.Fatal(err)
	}
	return nightly.Plan{Name: name, Times: times, Limit: time.Hour}
}

func TestNight(t *testing.T) {
	n := newNight(t, plan(t, "web", "0 2 * * *"), plan(t, "db", "30 2 * * *"))
	var runs []string
	var failure error
	n.work = func(_ context.Context, name string, log io.Writer, step func(string)) (nightly.Result, error) {
		runs = append(runs, name)
		step("build")
		fmt.Fprintln(log, "working on", name)
		return nightly.Result{Image: name, Digest: "sha256:0123456789abcdef", Unchanged: len(runs) > 2}, failure
	}
	s, tick, stop := n.server()
	tick(0)
	if len(runs) != 0 {
		t.Errorf("at 1:59 %v ran", runs)
	}
	tick(time.Minute)
	tick(time.Minute)
	if diff := cmp.Diff([]string{"web"}, runs); diff != "" {
		t.Errorf("at 2:01 (-want +got):\n%s", diff)
	}
	due := time.Date(2026, 11, 29, 2, 0, 0, 0, time.UTC)
	want := inventory.Schedule{Name: "web", Due: due, Log: "nightly-web-20261128-020000", Last: &inventory.ScheduleRun{Digest: "sha256:0123456789abcdef"}}
	if diff := cmp.Diff(want, n.row("web"), cmpopts.IgnoreFields(inventory.ScheduleRun{}, "Began", "Ended")); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	tick(24 * time.Hour) // web and db, the latter of a day ago
	failure = errors.New("disk full")
	if err := s.Now(t.Context(), "db"); err != nil {
		t.Fatal(err)
	}
	tick(0)
	if diff := cmp.Diff([]string{"web", "db", "web", "db"}, runs); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	row := n.row("db")
	if row.Failures != 1 || row.Last.Problem != "disk full" || row.Last.Step != "build" {
		t.Errorf("after a failure %+v", row)
	}
	if log := n.logs[row.Log]; log == nil || !strings.Contains(log.String(), "working on db\nfailed: disk full") {
		t.Errorf("log %v", log)
	}
	if err := s.Now(t.Context(), "none"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("a schedule that is not there: %v", err)
	}
	events := []string{"nightly build web made web@sha256:0123456789ab", "nightly build db made db@sha256:0123456789ab",
		"nightly build web: nothing changed since web@sha256:0123456789ab", "nightly build db failed at build: disk full"}
	if diff := cmp.Diff(events, n.events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	stop()
}

// TestDown: a server that was down at the time runs it when it is up, and one that was
// killed in the middle begins it anew; a run that was not its time does not run.
func TestDown(t *testing.T) {
	n := newNight(t, plan(t, "web", "0 2 * * *"))
	runs := 0
	began, release := make(chan bool), make(chan bool)
	n.work = func(ctx context.Context, _ string, _ io.Writer, step func(string)) (nightly.Result, error) {
		runs++
		step("build")
		began <- true
		select {
		case <-release:
			return nightly.Result{}, nil
		case <-ctx.Done():
			return nightly.Result{}, ctx.Err()
		}
	}
	_, tick, stop := n.server()
	tick(0)
	stop()
	n.pass(10 * time.Hour)
	s, tick, stop := n.server()
	go tick(0)
	<-began
	if row := n.row("web"); row.Running.IsZero() || row.Step != "build" {
		t.Errorf("while it runs: %+v", row)
	}
	if err := s.Now(t.Context(), "web"); !errors.Is(err, inventory.ErrBusy) {
		t.Errorf("while it runs: %v", err)
	}
	stop()
	n.pass(time.Minute)
	const killed = "killed at build: the server ended"
	_, tick, stop = n.server()
	done := make(chan bool)
	go func() { tick(0); close(done) }()
	<-began
	if row := n.row("web"); row.Anew != killed || n.logs[row.Log].String() != "begun anew: the run before was "+killed+"\n" {
		t.Errorf("begun anew: %+v, log %q", row, n.logs[row.Log])
	}
	release <- true
	<-done
	if row := n.row("web"); row.Anew != "" || row.Last.Anew != killed || !row.Running.IsZero() || row.Failures != 0 || runs != 2 || !row.Due.Equal(time.Date(2026, 11, 29, 2, 0, 0, 0, time.UTC)) {
		t.Errorf("after %d runs: %+v", runs, row)
	}
	stop()
}

func TestLimit(t *testing.T) {
	p := plan(t, "web", "0 2 * * *")
	p.Limit = time.Millisecond
	n := newNight(t, p)
	n.work = func(ctx context.Context, _ string, _ io.Writer, _ func(string)) (nightly.Result, error) {
		<-ctx.Done()
		return nightly.Result{}, fmt.Errorf("build: %w", ctx.Err())
	}
	_, tick, stop := n.server()
	tick(0)
	tick(time.Hour)
	if row := n.row("web"); row.Last == nil || row.Last.Problem != "it took longer than 1ms: build" {
		t.Errorf("%+v", row)
	}
	stop()
}

// TestPlansChange: a plan that is gone takes its row along, and new times count at once.
func TestPlansChange(t *testing.T) {
	n := newNight(t, plan(t, "web", "0 2 * * *"), plan(t, "old", "0 2 * * *"))
	_, tick, stop := n.server()
	tick(0)
	stop()
	n.plans = []nightly.Plan{plan(t, "web", "0 4 * * *")}
	_, tick, stop = n.server()
	tick(0)
	if row := n.row("web"); row.Due.Hour() != 4 {
		t.Errorf("due %s", row.Due)
	}
	if row := n.row("old"); row.Name != "" {
		t.Errorf("%+v is still there", row)
	}
	stop()
}

func TestParseTimes(t *testing.T) {
	for _, spec := range []string{"0 2 * * *", "@daily", "CRON_TZ=Europe/Berlin 30 1 * * 1-5"} {
		if _, err := nightly.ParseTimes(spec); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
	for _, spec := range []string{"", "daily", "0 2 * *", "61 2 * * *", "0 2 31 2 *", "@every 1h", "0 2 * * * *"} {
		if _, err := nightly.ParseTimes(spec); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%q: %v", spec, err)
		}
	}
}
