package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"

	"ingot/hypervisor"
	"ingot/inventory"
)

const (
	// openTime bounds the first contact with a host; a libvirt that has to find out
	// whether guests run under KVM takes a quarter of a minute.
	openTime = time.Minute
	// closeTime bounds the wait for a contact that is being made when all ends.
	closeTime = 5 * time.Second
)

// slot is the place of a host's connection. Who holds turn opens it or looks at it, so a
// host is met once, however many ask.
type slot struct {
	turn *semaphore.Weighted
	// c is nil before the first contact.
	c *connection
}

// connection is an open driver of a host as it was then.
type connection struct {
	host   inventory.Host
	driver hypervisor.Driver
	// room is for the machines under work.
	room *semaphore.Weighted
}

// enter waits until the host has room for one more machine under work.
func (c *connection) enter(ctx context.Context) (done func(), err error) {
	if err := c.room.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return func() { c.room.Release(1) }, nil
}

// connect returns the connection to a host; one that was made for another URL is closed.
func (f *Fleet) connect(ctx context.Context, name string) (*connection, error) {
	host, secret, err := f.host(ctx, name)
	if err != nil {
		return nil, err
	}
	s := f.slotOf(name)
	if err := s.turn.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer s.turn.Release(1)
	if s.c != nil && sameAddress(s.c.host, host) {
		return s.c, nil
	}
	octx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	driver, err := f.cfg.Open(octx, host, secret)
	if err != nil {
		return nil, fmt.Errorf("connect to host %s: %w", name, err)
	}
	old := s.c
	s.c = &connection{host: host, driver: driver, room: semaphore.NewWeighted(atOnce)}
	if old == nil {
		return s.c, nil
	}
	return s.c, old.driver.Close()
}

func (f *Fleet) slotOf(name string) *slot {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hosts[name] == nil {
		f.hosts[name] = &slot{turn: semaphore.NewWeighted(1)}
	}
	return f.hosts[name]
}

func sameAddress(a, b inventory.Host) bool {
	return a.URL == b.URL && a.Thumbprint == b.Thumbprint && a.Storage == b.Storage && a.Created.Equal(b.Created)
}

// host reads a host with its secret, open.
func (f *Fleet) host(ctx context.Context, name string) (host inventory.Host, secret []byte, err error) {
	var sealed []byte
	err = f.cfg.Store.View(ctx, func(x inventory.Tx) (err error) {
		if host, err = x.Host(ctx, name); err != nil {
			return err
		}
		sealed, err = x.HostSecret(ctx, name)
		return err
	})
	if err == nil && len(sealed) > 0 {
		secret, err = f.cfg.Unseal(name, sealed)
	}
	return host, secret, err
}

// close ends all connections.
func (f *Fleet) close() {
	f.mu.Lock()
	slots := f.hosts
	f.hosts = map[string]*slot{}
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	var err error
	for _, s := range slots {
		if terr := s.turn.Acquire(ctx, 1); terr != nil {
			err = errors.Join(err, terr)
			continue
		}
		if s.c != nil {
			err = errors.Join(err, s.c.driver.Close())
		}
		s.turn.Release(1)
	}
	if err != nil {
		f.log.Warn("close hosts", "err", err)
	}
}
