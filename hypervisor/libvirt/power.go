package libvirt

import (
	"context"
	"errors"
	"fmt"
	"time"

	lv "github.com/digitalocean/go-libvirt"

	"ingot/hypervisor"
	"ingot/inventory"
)

const (
	// askAgain is how often a guest is asked to go: one that was still booting has not
	// heard the first time.
	askAgain = 10 * time.Second
	// lookEvery is how often its state is looked at meanwhile.
	lookEvery = 500 * time.Millisecond
	// agentWithin is how long the guest agent may take to say that it heard.
	agentWithin = 5 * time.Second
)

// SetPower implements hypervisor.Driver.
func (d *Driver) SetPower(ctx context.Context, id string, to hypervisor.PowerState, how hypervisor.PowerHow) error {
	var err error
	switch {
	case to == hypervisor.On:
		err = d.switchOn(ctx, id)
	case to == hypervisor.Off && how == hypervisor.Force:
		err = d.switchOff(ctx, id)
	case to == hypervisor.Off:
		err = d.shutDown(ctx, id)
	default:
		err = inventory.Invalid("power state %q (want on or off)", to)
	}
	if err != nil {
		return fmt.Errorf("power %s of machine %s: %w", to, id, err)
	}
	return nil
}

// switchOn waits its turn, so that Delete does not find a machine running that it has just
// stopped. Switching off does not: it must not wait for a guest that is being asked.
func (d *Driver) switchOn(ctx context.Context, id string) error {
	release, err := d.begin(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	f, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	return d.startWithNetworks(ctx, f)
}

// start starts a domain in whatever state it is.
func (d *Driver) start(ctx context.Context, dom lv.Domain) error {
	power, err := d.power(ctx, dom)
	if err != nil {
		return err
	}
	switch power {
	case hypervisor.On:
		return nil
	case hypervisor.Paused:
		return do(ctx, d.link, "resume domain "+dom.Name, func(r *lv.Libvirt) error { return r.DomainResume(dom) })
	case hypervisor.Crashed:
		if err := d.destroy(ctx, dom); err != nil {
			return err
		}
	}
	err = d.doLong(ctx, "start domain "+dom.Name, func(r *lv.Libvirt) error { return r.DomainCreate(dom) })
	if said(err, lv.ErrOperationInvalid) {
		// 55 is "already running", among others.
		if now, again := d.power(ctx, dom); again == nil && now == hypervisor.On {
			return nil
		}
	}
	return err
}

func (d *Driver) switchOff(ctx context.Context, id string) error {
	f, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	return d.destroy(ctx, f.Domain)
}

// destroy pulls the plug. A domain that does not run is no error.
func (d *Driver) destroy(ctx context.Context, dom lv.Domain) error {
	power, err := d.power(ctx, dom)
	if err != nil || power == hypervisor.Off {
		return err
	}
	err = d.doLong(ctx, "destroy domain "+dom.Name, func(r *lv.Libvirt) error { return r.DomainDestroyFlags(dom, 0) })
	if said(err, lv.ErrOperationInvalid) {
		if now, again := d.power(ctx, dom); again == nil && now == hypervisor.Off {
			return nil
		}
	}
	return err
}

func (d *Driver) shutDown(ctx context.Context, id string) error {
	f, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	return d.waitOff(ctx, f)
}

// waitOff asks the guest to go until it has gone or ctx ends. A guest without a system
// that listens takes the request and does nothing, so the answer to it means nothing.
func (d *Driver) waitOff(ctx context.Context, f found) error {
	asked := time.Time{}
	for {
		power, err := d.power(ctx, f.Domain)
		if err != nil || power == hypervisor.Off {
			return err
		}
		if time.Since(asked) > askAgain {
			if err := d.askOff(ctx, f); err != nil && !said(err, lv.ErrOperationInvalid) {
				return err
			}
			asked = time.Now()
		}
		if err := pause(ctx, lookEvery); err != nil {
			return fmt.Errorf("the guest was asked to shut down and still runs: %w", err)
		}
	}
}

// askOff asks through the agent if there is one, else by the power button. An agent that
// hangs keeps libvirt for a minute, so that is asked on a connection of its own.
func (d *Driver) askOff(ctx context.Context, f found) error {
	if f.hasAgent() {
		short, cancel := context.WithTimeout(ctx, agentWithin)
		err := d.link.aside(short, func(own *link) error { return shutdownBy(short, own, f, lv.DomainShutdownGuestAgent) })
		cancel()
		if err == nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
	}
	return shutdownBy(ctx, d.link, f, lv.DomainShutdownAcpiPowerBtn)
}

func shutdownBy(ctx context.Context, l *link, f found, how lv.DomainShutdownFlagValues) error {
	return do(ctx, l, "shut down domain "+f.Name, func(r *lv.Libvirt) error { return r.DomainShutdownFlags(f.Domain, how) })
}
