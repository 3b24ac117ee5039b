package libvirt

import (
	"context"
	"log/slog"
	"time"
)

// Config says which host, and for whom.
type Config struct {
	// URL is libvirt's own: qemu:///system, qemu:///session, qemu+ssh://user@host/system,
	// qemu+tls://host/system. Empty is qemu:///system.
	URL string
	// Owner is whose machines these are.
	Owner string
	// Pool is the storage pool's name; empty is "ingot". A directory pool is made when
	// there is none.
	Pool string
	// PoolDir is where it is made; empty is libvirt's usual place for images.
	PoolDir string
	// Socket is the daemon's socket, when it is not in its usual place.
	Socket string
	// KVM tells whether guests really run under KVM, and why not. When it is nil, a
	// probe guest is started on this computer, and another host is believed.
	KVM func(context.Context) (bool, string)
	// StopWithin is how long a running machine gets to shut down for a snapshot before it
	// is switched off; 0 is a minute.
	StopWithin time.Duration
	// Log nil discards. Now nil is time.Now.
	Log *slog.Logger
	Now func() time.Time
}

const (
	poolName   = "ingot"
	stopWithin = time.Minute
)

func (c Config) withDefaults() Config {
	if c.URL == "" {
		c.URL = "qemu:///system"
	}
	if c.Pool == "" {
		c.Pool = poolName
	}
	if c.StopWithin == 0 {
		c.StopWithin = stopWithin
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}
