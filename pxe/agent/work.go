package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ingot/inventory"
	"ingot/pxe/agentapi"
)

// beater sends signs of life with the progress of what is running.
type beater struct {
	mu         sync.Mutex
	generation int64
	progress   *inventory.Progress
}

func (b *beater) set(generation int64, p *inventory.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.generation, b.progress = generation, p
}

func (b *beater) beat() agentapi.Beat {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.progress == nil {
		return agentapi.Beat{}
	}
	p := *b.progress
	return agentapi.Beat{Generation: b.generation, Progress: &p}
}

// run beats until ctx ends, faster while there is progress to show. A beat that fails
// is not tried again: the next one says more.
func (b *beater) run(ctx context.Context, c *agentapi.Client, every time.Duration) error {
	if every <= 0 {
		every = agentapi.BeatEvery
	}
	for {
		beat := b.beat()
		bctx, cancel := context.WithTimeout(ctx, every+5*time.Second)
		_ = c.Beat(bctx, beat)
		cancel()
		pause := every
		if beat.Progress != nil {
			pause = min(every, time.Second)
		}
		if sleep(ctx, pause) != nil {
			return nil
		}
	}
}

// work carries out orders until one ends this boot.
func (a *Agent) work(ctx context.Context) error {
	for {
		o, err := a.client.Order(ctx, a.done)
		if errors.Is(err, agentapi.ErrSession) {
			if _, err := a.hello(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			a.log.Warn("ask for work", "err", err)
			if err := sleep(ctx, 2*time.Second); err != nil {
				return err
			}
			continue
		}
		end, err := a.carryOut(ctx, o)
		if err != nil || end {
			return err
		}
	}
}

func (a *Agent) carryOut(ctx context.Context, o agentapi.Order) (end bool, err error) {
	switch o.Kind {
	case agentapi.OrderRefresh:
		if err := a.read(ctx); err != nil {
			return false, err
		}
		return false, a.sendFacts(ctx)
	case agentapi.OrderDeploy, agentapi.OrderWipe:
		a.write(ctx, o)
	case agentapi.OrderReboot:
		a.log.Info("reboot, as ordered")
		return true, nil
	case agentapi.OrderPowerOff:
		a.log.Info("power off, as ordered")
		unix.Sync()
		return true, unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
	return false, nil
}

// write carries out an order that changes disks, and reports how it ended.
func (a *Agent) write(ctx context.Context, o agentapi.Order) {
	start := time.Now()
	rep := inventory.Report{Generation: o.Generation, Order: string(o.Kind)}
	err := a.guard(o)
	if err == nil && o.Kind == agentapi.OrderDeploy {
		err = a.deploy(ctx, o, &rep)
	}
	if err == nil && o.Kind == agentapi.OrderWipe {
		err = a.wipe(ctx, o, &rep)
	}
	a.beats.set(0, nil)
	rep.OK, rep.Duration = err == nil, time.Since(start)
	if err != nil {
		rep.Failure = failure(o, err)
		a.log.Error("order failed", "order", o.Kind, "generation", o.Generation, "err", err)
	}
	a.report(ctx, rep)
}

// guard refuses an order older than one this boot has seen.
func (a *Agent) guard(o agentapi.Order) error {
	if o.Generation < a.highest {
		return refuse("order of generation %d, and generation %d was seen: a restored server must not write disks", o.Generation, a.highest)
	}
	a.highest = o.Generation
	return nil
}

// report tells the server until it has heard.
func (a *Agent) report(ctx context.Context, rep inventory.Report) {
	for {
		err := a.client.Report(ctx, rep)
		if err == nil {
			a.done = rep.Generation
			return
		}
		a.log.Warn("send report", "err", err)
		var final *agentapi.FinalError
		if errors.As(err, &final) || errors.Is(err, agentapi.ErrSession) {
			return
		}
		if sleep(ctx, 2*time.Second) != nil {
			return
		}
	}
}

// permanentError is one that the same order meets again.
type permanentError struct {
	reason, try string
}

func (e *permanentError) Error() string { return e.reason }

func refuse(format string, args ...any) error {
	return &permanentError{reason: fmt.Sprintf(format, args...)}
}

func failure(o agentapi.Order, err error) *inventory.Failure {
	f := &inventory.Failure{Step: "write", Reason: err.Error()}
	if o.Kind == agentapi.OrderWipe {
		f.Step = "wipe"
	}
	var p *permanentError
	if errors.As(err, &p) {
		f.Permanent, f.Try = true, p.try
	}
	if errors.Is(err, inventory.ErrInvalid) {
		f.Permanent = true
	}
	return f
}
