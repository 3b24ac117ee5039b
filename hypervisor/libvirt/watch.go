package libvirt

import (
	"context"
	"time"

	lv "github.com/digitalocean/go-libvirt"
)

const (
	// pingEvery is how often a connection without events is tried, pingWithin how long
	// the answer may take.
	pingEvery, pingWithin = 15 * time.Second, 10 * time.Second
	// redialFirst and redialMax are the pauses between tries to connect again.
	redialFirst, redialMax = 500 * time.Millisecond, 30 * time.Second
)

// Watch implements hypervisor.Watcher. It has a connection of its own; each time that is
// made, f is called with "", because what happened before is not told. It returns nil when
// ctx ends.
func (d *Driver) Watch(ctx context.Context, f func(id string)) error {
	wait := redialFirst
	for ctx.Err() == nil {
		began := time.Now()
		err := d.follow(ctx, f)
		if ctx.Err() != nil {
			return nil
		}
		d.config.Log.Warn("events of the host are interrupted", "host", d.config.URL, "err", err)
		if time.Since(began) > redialMax {
			wait = redialFirst
		}
		if pause(ctx, wait) != nil {
			return nil
		}
		wait = min(2*wait, redialMax)
	}
	return nil
}

// follow tells of events until the connection or ctx ends.
func (d *Driver) follow(ctx context.Context, f func(id string)) error {
	own := newLink(d.link.dial, d.link.uri)
	ctx, cancel := context.WithCancel(ctx)
	var events <-chan lv.DomainEventLifecycleMsg
	// The binding blocks on a channel that nobody reads, also after its context.
	defer func() {
		cancel()
		own.close()
		if events != nil {
			for range events {
			}
		}
	}()
	if err := do(ctx, own, "ask for events", func(r *lv.Libvirt) (err error) {
		events, err = r.LifecycleEvents(ctx)
		return err
	}); err != nil {
		return err
	}
	known, err := d.machines(ctx)
	if err != nil {
		return err
	}
	f("")
	idle := time.NewTicker(pingEvery)
	defer idle.Stop()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return errLost
			}
			d.tell(ctx, known, e, f)
		case <-idle.C:
			if err := answers(ctx, own); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// answers tells whether the daemon still answers on the connection for events, which may be
// silent for long.
func answers(ctx context.Context, own *link) error {
	short, cancel := context.WithTimeout(ctx, pingWithin)
	defer cancel()
	_, err := ask(short, own, "ping", func(r *lv.Libvirt) (uint64, error) { return r.ConnectGetLibVersion() })
	return err
}

// machines are the IDs of this owner by UUID.
func (d *Driver) machines(ctx context.Context) (map[lv.UUID]string, error) {
	all, err := d.all(ctx)
	known := map[lv.UUID]string{}
	for _, one := range all {
		if one.ours && one.identity.Owner == d.config.Owner {
			known[one.UUID] = one.identity.ID
		}
	}
	return known, err
}

// tell finds out whose event it is. A domain that we don't know yet is read; one that is
// gone already was either known or is nothing to us.
func (d *Driver) tell(ctx context.Context, known map[lv.UUID]string, e lv.DomainEventLifecycleMsg, f func(id string)) {
	id, ok := known[e.Dom.UUID]
	if !ok {
		one, err := d.read(ctx, e.Dom)
		if err != nil || !one.ours || one.identity.Owner != d.config.Owner {
			return
		}
		id = one.identity.ID
		known[e.Dom.UUID] = id
	}
	f(id)
	if lv.DomainEventType(e.Event) == lv.DomainEventUndefined {
		delete(known, e.Dom.UUID)
	}
}
