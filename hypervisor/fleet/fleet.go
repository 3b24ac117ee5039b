package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Config is what a Fleet works with. All but Log must be there.
type Config struct {
	Store inventory.Store
	// Open connects to a host; secret is its password or key, open, and may be empty.
	Open func(ctx context.Context, host inventory.Host, secret []byte) (hypervisor.Driver, error)
	// Diagnose looks at a host before there is a driver: what is in the way of Open, and
	// what to do about it; and where nothing is, what the driver's Check finds.
	Diagnose func(ctx context.Context, host inventory.Host, secret []byte) ([]hypervisor.Finding, error)
	// Unseal opens the secret of a host.
	Unseal func(host string, sealed []byte) ([]byte, error)
	// Image finds a golden image to be sent to a host.
	Image func(ctx context.Context, image inventory.Image) (hypervisor.Image, error)
	// Seed makes the FAT file system with the machine's documents; driver is of its host.
	Seed func(ctx context.Context, m *inventory.Machine, host inventory.Host, driver hypervisor.Driver) ([]byte, error)
	// Listen makes sure that the server listens where a machine's guest phones home. It is
	// called again and again until it did.
	Listen func(ctx context.Context, m *inventory.Machine, host inventory.Host, driver hypervisor.Driver) error
	// Woken is called when a report was stored.
	Woken func()
	Now   func() time.Time
	Log   *slog.Logger
}

const (
	// atOnce bounds the machines worked on at one host, and allAtOnce those of all.
	atOnce    = 24
	allAtOnce = 64
	// lookEvery bounds how late an order is noticed.
	lookEvery = time.Second
)

// Fleet is the executor for VMs.
type Fleet struct {
	cfg Config
	log *slog.Logger
	// wake makes Run look soon.
	wake chan struct{}
	// placing is the turn of giving a machine a host, so that two don't count on the same
	// memory.
	placing *semaphore.Weighted

	mu sync.Mutex
	// hosts are the connections by name.
	hosts map[string]*slot
	// working are the machines under work, by ID.
	working map[string]bool
}

// New returns a Fleet that Run works for.
func New(cfg Config) *Fleet {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Fleet{cfg: cfg, log: cfg.Log, wake: make(chan struct{}, 1), placing: semaphore.NewWeighted(1),
		hosts: map[string]*slot{}, working: map[string]bool{}}
}

// Wake implements lifecycle.Waker.
func (f *Fleet) Wake() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Begin implements lifecycle.Executor: the work stands in the inventory and Run finds it.
func (f *Fleet) Begin(_ context.Context, m *inventory.Machine, phase inventory.Phase) (string, error) {
	switch {
	case phase == inventory.PhaseBoot && m.Spec.VM.Host == inventory.AnyHost:
		return "a host is being chosen", nil
	case phase == inventory.PhaseBoot:
		return "being made on " + m.Spec.VM.Host, nil
	case phase == inventory.PhaseFirstBoot:
		return "the installed system's first boot", nil
	}
	return "", nil
}

// Run works until ctx ends, and waits for what is under way.
func (f *Fleet) Run(ctx context.Context) error {
	var under sync.WaitGroup
	defer f.close()
	defer under.Wait()
	under.Go(func() { f.refresh(ctx) })
	under.Go(func() { f.prefetch(ctx) })
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := f.look(ctx, &under); err != nil && ctx.Err() == nil {
			f.log.Error("look for VMs to work on", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		case <-tick.C:
		}
	}
}

// look begins the work on each machine that is due and not under work.
func (f *Fleet) look(ctx context.Context, under *sync.WaitGroup) error {
	var due []*inventory.Machine
	err := f.cfg.Store.View(ctx, func(x inventory.Tx) error {
		ms, err := x.ActiveMachines(ctx)
		for _, m := range ms {
			if work(m) != nil {
				due = append(due, m)
			}
		}
		return err
	})
	for _, m := range due {
		if f.begin(m.ID) {
			under.Go(func() { defer f.end(m.ID); f.do(ctx, m.ID) })
		}
	}
	return err
}

func (f *Fleet) begin(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.working[id] || len(f.working) >= allAtOnce {
		return false
	}
	f.working[id] = true
	return true
}

func (f *Fleet) end(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.working, id)
}

// step is one kind of work on a machine.
type step func(*Fleet, context.Context, *job) error

// work is what a machine is due for; nil for nothing.
func work(m *inventory.Machine) step {
	if m.Kind != inventory.KindVM || m.Spec.VM == nil || m.Status.Report != nil || m.Status.Hold != "" || m.Status.Conflict != "" {
		return nil
	}
	switch {
	case m.Status.State == inventory.Deploying && m.Status.Phase == inventory.PhaseBoot:
		return (*Fleet).deploy
	case m.Status.State == inventory.Releasing && m.Status.Phase == inventory.PhaseWipe:
		return (*Fleet).remove
	}
	return nil
}

// do works on one machine and stores the report.
func (f *Fleet) do(ctx context.Context, id string) {
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	j := &job{Fleet: f, started: f.cfg.Now(), giveUp: cancel}
	m, err := j.read(ctx, id)
	if err != nil || work(m) == nil {
		return // deleted, or done, meanwhile
	}
	err = work(m)(f, own, j)
	if own.Err() != nil {
		return // the server stops, and the next one goes on; or another order stands
	}
	if err != nil {
		f.log.Warn("work on VM", "machine", m.Name, "step", j.step, "err", err)
	}
	if err := j.report(ctx, err); err != nil {
		f.log.Error("store report", "machine", m.Name, "err", err)
	}
	f.cfg.Woken()
}

// image finds what a machine is to be made from.
func (f *Fleet) image(ctx context.Context, digest string) (image inventory.Image, err error) {
	err = f.cfg.Store.View(ctx, func(x inventory.Tx) error {
		all, err := x.Images(ctx)
		for _, i := range all {
			if i.Digest == digest {
				image = i
			}
		}
		return err
	})
	if err == nil && image.Digest == "" {
		err = fmt.Errorf("its image is gone from the store: %w", inventory.NotFound("image", digest))
	}
	return image, err
}
