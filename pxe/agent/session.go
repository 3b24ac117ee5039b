package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ingot/inventory"
	"ingot/pxe/agent/facts"
	"ingot/pxe/agentapi"
)

// readLimit is for all readers of facts together, which bound each device they ask.
const readLimit = 2 * time.Minute

// read collects the facts. A reader that never ends is left behind with the others'
// results: the kernel holds it, and nothing can interrupt it.
func (a *Agent) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	type result struct {
		facts *inventory.Facts
		err   error
	}
	done := make(chan result, 1)
	go func() {
		f, err := facts.Collect(ctx, facts.Options{BootMAC: a.params.MAC, AgentVersion: a.version, Neighbours: a.neighbours, Log: a.log})
		done <- result{f, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return fmt.Errorf("read facts: %w", r.err)
		}
		a.keepFacts(r.facts)
		return nil
	case <-ctx.Done():
		return fmt.Errorf("read facts: a device does not answer: %w", ctx.Err())
	}
}

// keepFacts makes facts the newest; how long the first ones took stays.
func (a *Agent) keepFacts(f *inventory.Facts) {
	if before := a.facts.Load(); before != nil {
		f.Agent.ToFacts = before.Agent.ToFacts
	}
	a.facts.Store(f)
	a.log.Info("facts", "summary", f.Summary(), "unread", len(f.Unread), "after", sinceKernel())
}

// hello opens the session; it tries until the server lets us in, since a person may
// have to settle a conflict first.
func (a *Agent) hello(ctx context.Context) (agentapi.Welcome, error) {
	f := a.facts.Load()
	h := agentapi.Hello{Boot: a.boot, Identity: f.Identity(), BootMAC: a.params.MAC, Firmware: f.Firmware.Mode,
		SecureBoot: f.Firmware.SecureBoot, Kernel: f.Agent.Kernel, Version: a.version, BootSet: a.params.Set}
	for {
		c := *a.client.Load()
		c.Token = ""
		w, err := c.Hello(ctx, h)
		if err == nil {
			a.client.Store(&c)
			setClock(w.Time, a.log)
			a.log.Info("session is open", "machine", w.Name)
			return w, a.sendFacts(ctx)
		}
		a.log.Warn("hello", "err", err)
		if err := sleep(ctx, a.retry); err != nil {
			return w, err
		}
	}
}

// keepSession says hello again when the server has forgotten the session.
func (a *Agent) keepSession(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-a.lost:
			if c != a.client.Load() {
				continue
			}
		}
		if _, err := a.hello(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// noteLost tells the session's keeper when err says that c's session is unknown.
func (a *Agent) noteLost(c *agentapi.Client, err error) {
	if !errors.Is(err, agentapi.ErrSession) {
		return
	}
	select {
	case a.lost <- c:
	default:
	}
}

// sendFacts sends the newest facts until the server has them. Facts that it refuses for
// good are told in the log: the machine stays up, so that someone can read that.
func (a *Agent) sendFacts(ctx context.Context) error {
	f := *a.facts.Load()
	if f.Agent.ToFacts == 0 {
		f.Agent.ToFacts = sinceKernel()
		a.facts.Store(&f)
	}
	for {
		c := a.client.Load()
		err := c.Facts(ctx, &f)
		if err == nil {
			return nil
		}
		a.log.Warn("send facts", "err", err)
		var final *agentapi.FinalError
		if errors.As(err, &final) || errors.Is(err, agentapi.ErrSession) {
			a.noteLost(c, err)
			return nil
		}
		if err := sleep(ctx, a.retry); err != nil {
			return err
		}
	}
}

// beater sends signs of life with the progress of what is running.
type beater struct {
	mu         sync.Mutex
	generation int64
	progress   *inventory.Progress
	stopped    bool
}

func (b *beater) set(generation int64, p *inventory.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.generation, b.progress = generation, p
}

// stop makes the agent seem dead.
func (b *beater) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
}

func (b *beater) now() (beat agentapi.Beat, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.progress == nil {
		return agentapi.Beat{}, !b.stopped
	}
	p := *b.progress
	return agentapi.Beat{Generation: b.generation, Progress: &p}, !b.stopped
}

// beatBusy is how often there is a beat while there is progress to show.
const beatBusy = time.Second

// beat beats until ctx ends. One that fails is not tried again: the next one says more.
func (a *Agent) beat(ctx context.Context, every time.Duration) error {
	if every <= 0 {
		every = agentapi.BeatEvery
	}
	for {
		beat, alive := a.beats.now()
		if alive {
			c := a.client.Load()
			bctx, cancel := context.WithTimeout(ctx, every+5*time.Second)
			a.noteLost(c, c.Beat(bctx, beat))
			cancel()
		}
		pause := every
		if beat.Progress != nil {
			pause = min(every, beatBusy)
		}
		if sleep(ctx, pause) != nil {
			return nil
		}
	}
}
