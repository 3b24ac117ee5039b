package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
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
	// refusedTime is how long a login that was refused is not tried again.
	refusedTime = 5 * time.Minute
)

// slot is the place of a host's connection. Who holds turn opens it or looks at it, so a
// host is met once, however many ask.
type slot struct {
	turn *semaphore.Weighted
	// c is nil before the first contact.
	c *connection
	// refused is the last login that was, if it was.
	refused *refusal
	// testing is the turn of a self-test, which clears away what others left.
	testing *semaphore.Weighted
}

// refusal is a login that a host refused. It is not tried again for a while with the same
// secret: hosts are asked every few seconds, and vCenter Single Sign-On locks an account,
// which may be a person's too, after five failures within three minutes.
type refusal struct {
	host   inventory.Host
	secret []byte
	err    error
	until  time.Time
}

// again reports a refusal that still counts.
func (r *refusal) again(host inventory.Host, secret []byte, now time.Time) error {
	if r == nil || !now.Before(r.until) || !sameAddress(r.host, host) || !bytes.Equal(r.secret, secret) {
		return nil
	}
	return r.err
}

// fits is the connection, if it is to this host with this secret; who calls holds turn.
// What does not matter to the connection is as it is now.
func (s *slot) fits(host inventory.Host, secret []byte) *connection {
	if s.c == nil || !sameAddress(s.c.host, host) || !bytes.Equal(s.c.secret, secret) {
		return nil
	}
	if !reflect.DeepEqual(s.c.host, host) {
		s.c = &connection{host: host, secret: secret, network: s.c.network, driver: s.c.driver, room: s.c.room}
	}
	return s.c
}

// connection is an open driver of a host as it was then.
type connection struct {
	host   inventory.Host
	secret []byte
	// network is the host's when it was opened, which the driver's check-up looks at.
	network string
	driver  hypervisor.Driver
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

// connect returns the connection to a host; one that was made for another URL or with
// another secret is closed.
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
	if c := s.fits(host, secret); c != nil {
		return c, nil
	}
	if err := s.refused.again(host, secret, f.cfg.Now()); err != nil {
		return nil, err
	}
	octx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	driver, err := f.cfg.Open(octx, host, secret)
	if err != nil {
		err = fmt.Errorf("connect to host %s: %w", name, err)
		if errors.Is(err, inventory.ErrDenied) {
			s.refused = &refusal{host, secret, err, f.cfg.Now().Add(refusedTime)}
		}
		return nil, err
	}
	old := s.c
	s.c = &connection{host: host, secret: secret, network: host.Network, driver: driver, room: semaphore.NewWeighted(atOnce)}
	if old != nil {
		if err := old.driver.Close(); err != nil {
			f.log.Warn("close host", "host", name, "err", err)
		}
	}
	return s.c, nil
}

func (f *Fleet) slotOf(name string) *slot {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hosts[name] == nil {
		f.hosts[name] = &slot{turn: semaphore.NewWeighted(1), testing: semaphore.NewWeighted(1)}
	}
	return f.hosts[name]
}

// leave closes the connections to hosts that were taken out of the inventory.
func (f *Fleet) leave(hosts []inventory.Host) {
	f.mu.Lock()
	gone := maps.Clone(f.hosts)
	f.mu.Unlock()
	for _, h := range hosts {
		delete(gone, h.Name)
	}
	for name, s := range gone {
		if !s.turn.TryAcquire(1) {
			continue // somebody asks it at this moment
		}
		if c := s.c; c != nil {
			s.c = nil
			if err := c.driver.Close(); err != nil {
				f.log.Warn("close host", "host", name, "err", err)
			}
		}
		s.turn.Release(1)
	}
}

func sameAddress(a, b inventory.Host) bool {
	return a.URL == b.URL && a.Thumbprint == b.Thumbprint && a.Storage == b.Storage && a.Created.Equal(b.Created)
}

// errSealed is a secret that can't be read: the server's key is not the one of then.
var errSealed = errors.New("open the secret")

// host reads a host with its secret, open. With errSealed, the host was read.
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
		if secret, err = f.cfg.Unseal(name, sealed); err != nil {
			err = fmt.Errorf("%w of host %s: %w", errSealed, name, err)
		}
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
