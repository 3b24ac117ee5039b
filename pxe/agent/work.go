package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"ingot/inventory"
	"ingot/pxe/agentapi"
)

// work carries out orders until one ends this boot.
func (a *Agent) work(ctx context.Context) error {
	for {
		c := a.client.Load()
		o, err := c.Order(ctx, a.done)
		if err == nil {
			end, err := a.carryOut(ctx, o)
			if err != nil || end {
				return err
			}
			continue
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of this boot
		}
		a.log.Warn("ask for work", "err", err)
		a.noteLost(c, err)
		if err := sleep(ctx, a.retry); err != nil {
			return nil //nolint:nilerr // the end of this boot
		}
	}
}

func (a *Agent) carryOut(ctx context.Context, o agentapi.Order) (end bool, err error) {
	switch o.Kind {
	case agentapi.OrderWait:
	case agentapi.OrderRefresh:
		if err := a.read(ctx); err != nil {
			a.log.Error("refresh facts", "err", err)
		}
		return false, a.sendFacts(ctx)
	case agentapi.OrderDeploy, agentapi.OrderWipe:
		a.write(ctx, o)
	case agentapi.OrderReboot:
		a.log.Info("reboot, as ordered")
		return true, nil
	case agentapi.OrderPowerOff:
		a.log.Info("power off, as ordered")
		a.lastWords()
		unix.Sync()
		return true, unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	default:
		a.log.Error("this agent does not know the order; boot it again to get the server's own", "order", o.Kind)
		return false, sleep(ctx, a.retry)
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

// report tells the server until it has heard. A report that it refuses for good is in
// the log; the pause keeps an order that is given again from spinning.
func (a *Agent) report(ctx context.Context, rep inventory.Report) {
	for {
		c := a.client.Load()
		err := c.Report(ctx, rep)
		if err == nil {
			a.done = rep.Generation
			return
		}
		a.log.Warn("send report", "err", err)
		a.noteLost(c, err)
		if sleep(ctx, a.retry) != nil {
			return
		}
		var final *agentapi.FinalError
		if errors.As(err, &final) {
			a.done = rep.Generation
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
