package fleet

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/semaphore"

	"ingot/hypervisor"
	"ingot/inventory"
)

// connection is an open driver of a host as it was then.
type connection struct {
	host   inventory.Host
	driver hypervisor.Driver
	slots  *semaphore.Weighted
}

// enter waits until the host has room for one more machine under work.
func (c *connection) enter(ctx context.Context) (done func(), err error) {
	if err := c.slots.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return func() { c.slots.Release(1) }, nil
}

// Driver returns the driver of a host, connected.
func (f *Fleet) Driver(ctx context.Context, host string) (hypervisor.Driver, error) {
	c, err := f.connect(ctx, host)
	if err != nil {
		return nil, err
	}
	return c.driver, nil
}

// connect returns the connection to a host; one that was made for another URL is closed.
func (f *Fleet) connect(ctx context.Context, name string) (*connection, error) {
	host, secret, err := f.host(ctx, name)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	c := f.hosts[name]
	f.mu.Unlock()
	if c != nil && sameAddress(c.host, host) {
		return c, nil
	}
	driver, err := f.cfg.Open(ctx, host, secret)
	if err != nil {
		return nil, fmt.Errorf("connect to host %s: %w", name, err)
	}
	return f.keep(&connection{host: host, driver: driver, slots: semaphore.NewWeighted(atOnce)})
}

func sameAddress(a, b inventory.Host) bool {
	return a.URL == b.URL && a.Thumbprint == b.Thumbprint && a.Storage == b.Storage && a.Created.Equal(b.Created)
}

// keep makes c the host's connection, unless another was faster.
func (f *Fleet) keep(c *connection) (*connection, error) {
	f.mu.Lock()
	old := f.hosts[c.host.Name]
	if old != nil && sameAddress(old.host, c.host) {
		f.mu.Unlock()
		return old, c.driver.Close()
	}
	f.hosts[c.host.Name] = c
	f.mu.Unlock()
	if old != nil {
		return c, old.driver.Close()
	}
	return c, nil
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
	defer f.mu.Unlock()
	var err error
	for name, c := range f.hosts {
		err = errors.Join(err, c.driver.Close())
		delete(f.hosts, name)
	}
	if err != nil {
		f.log.Warn("close hosts", "err", err)
	}
}
