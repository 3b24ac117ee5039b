package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"ingot/inventory"
)

// Executor carries out what lifecycle decides, for one kind of machine.
type Executor interface {
	// Begin makes m start or go on with a phase and returns at once. It may be called
	// again for the same phase. The text says what is waited for ("switch it on");
	// empty when nothing more is needed. ErrUnsupported means a person must do it.
	Begin(ctx context.Context, m *inventory.Machine, phase inventory.Phase) (waiting string, err error)
}

// Waker is an executor that finds its work in the inventory. Wake is called each time a
// phase that it was told of is stored, and so can be found.
type Waker interface{ Wake() }

// Limits are the times after which silence is a failure. They restart with every sign
// of progress: a slow disk is not a dead machine.
type Limits struct {
	// Silent is when an agent without a beat counts as gone.
	Silent time.Duration
	// Leave is how long a machine that was told to reboot may still beat.
	Leave time.Duration
	// FirstBoot is how long the installed system may take to phone home.
	FirstBoot time.Duration
	// Boot is when a machine that should boot and doesn't is called failed.
	Boot time.Duration
	// Claim is how long after an order a machine's agent may first take its secrets. A
	// first boot is trust on first use, so the window is short.
	Claim time.Duration
	// Tries bounds the attempts at a phase.
	Tries int
	// Retry is the first pause between attempts; it doubles.
	Retry time.Duration
}

// DefaultLimits suit servers with a slow power-on self test.
var DefaultLimits = Limits{
	Silent: 20 * time.Second, Leave: 2 * time.Minute, FirstBoot: 20 * time.Minute, Boot: 20 * time.Minute, Claim: time.Hour,
	Tries: 5, Retry: 5 * time.Second,
}

// Lifecycle advances machines.
type Lifecycle struct {
	Store     inventory.Store
	Executors map[inventory.Kind]Executor
	Limits    Limits
	Now       func() time.Time
	Log       *slog.Logger
	wake      chan struct{}
}

// New returns a Lifecycle with default limits.
func New(store inventory.Store, executors map[inventory.Kind]Executor, now func() time.Time, log *slog.Logger) *Lifecycle {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Lifecycle{Store: store, Executors: executors, Limits: DefaultLimits, Now: now, Log: log, wake: make(chan struct{}, 1)}
}

// Wake makes Run look at all machines soon.
func (l *Lifecycle) Wake() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// lookEvery bounds how late a due time is noticed.
const lookEvery = time.Second

// Run advances machines until ctx ends.
func (l *Lifecycle) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := l.sweep(ctx); err != nil && ctx.Err() == nil {
			l.Log.Error("advance machines", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		case <-tick.C:
		}
	}
}

// sweep advances every machine that is in a state with something to do.
func (l *Lifecycle) sweep(ctx context.Context) error {
	var ids []string
	err := l.Store.View(ctx, func(x inventory.Tx) error {
		ms, err := x.ActiveMachines(ctx)
		for _, m := range ms {
			if l.decide(m) != nil {
				ids = append(ids, m.ID)
			}
		}
		return err
	})
	for _, id := range ids {
		err = errors.Join(err, l.Advance(ctx, id))
	}
	return err
}

// maxSteps bounds the steps of one Advance; more would be a loop in the table.
const maxSteps = 10

// Advance takes all the steps that a machine is due for.
func (l *Lifecycle) Advance(ctx context.Context, id string) error {
	for range maxSteps {
		changed, err := l.step(ctx, id)
		if err != nil {
			return fmt.Errorf("advance %s: %w", id, err)
		}
		if !changed {
			return nil
		}
	}
	return fmt.Errorf("advance %s: no rest after %d steps", id, maxSteps)
}

// step looks first and writes only when there is something to write.
func (l *Lifecycle) step(ctx context.Context, id string) (changed bool, err error) {
	var m *inventory.Machine
	err = l.Store.View(ctx, func(x inventory.Tx) error {
		m, err = x.Machine(ctx, id)
		return err
	})
	if errors.Is(err, inventory.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	next := l.decide(m)
	if next == nil {
		return false, nil
	}
	waiting, failure := l.begin(ctx, m, next)
	changed, err = l.write(ctx, id, waiting, failure)
	if ex, ok := l.Executors[m.Kind].(Waker); ok && changed {
		ex.Wake()
	}
	return changed, err
}

// write decides anew, in a transaction, and stores what comes of it, or the failure to
// begin.
func (l *Lifecycle) write(ctx context.Context, id, waiting string, failure *inventory.Failure) (changed bool, err error) {
	err = l.Store.Update(ctx, func(x inventory.Tx) error {
		changed = false // the transaction may run twice
		m, err := x.Machine(ctx, id)
		if errors.Is(err, inventory.ErrNotFound) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		next := l.decide(m)
		if next == nil {
			return nil
		}
		c := &change{ctx: ctx, x: x, m: m, now: l.Now()}
		switch {
		case failure == nil:
			next(c)
			changed = true
		case m.Status.Error.Same(*failure): // it stands already
			return nil
		default:
			c.fail(*failure)
		}
		if waiting != "" && c.err == nil {
			c.add(inventory.PhaseChanged{Phase: m.Status.Phase, Waiting: waiting})
		}
		return c.store()
	})
	return changed && err == nil, err
}

// begin tells the executor about a phase that is about to be entered.
func (l *Lifecycle) begin(ctx context.Context, m *inventory.Machine, next action) (string, *inventory.Failure) {
	after := *m
	probe := &change{ctx: ctx, m: &after, now: l.Now(), dry: true}
	next(probe)
	ex := l.Executors[m.Kind]
	if ex == nil || after.Status.Phase == "" || (after.Status.Phase == m.Status.Phase && after.Status.State == m.Status.State) {
		return "", nil
	}
	waiting, err := ex.Begin(ctx, &after, after.Status.Phase)
	if err != nil && !errors.Is(err, inventory.ErrUnsupported) {
		return "", &inventory.Failure{Step: string(after.Status.Phase), Reason: err.Error(), Since: l.Now()}
	}
	return waiting, nil
}
