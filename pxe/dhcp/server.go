package dhcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ingot/inventory"
)

// Config is what a Server works with. Booter, Machines and Leases must be there; the
// rest can be zero.
type Config struct {
	Booter    Booter
	Machines  Machines
	Leases    Leases
	Observer  Observer
	Announcer Announcer
	// Prober finds out which addresses are in use; nil means ARP and ICMP.
	Prober Prober
	// Log nil means discard.
	Log *slog.Logger
	// Now nil means time.Now, After nil means time.After.
	Now   func() time.Time
	After func(time.Duration) <-chan time.Time
	// Workers handle packets; 0 means 4.
	Workers int
	// WatchEvery is how often each network is asked for other servers; 0 means once a
	// minute.
	WatchEvery time.Duration
}

// Server answers on any number of links and networks.
type Server struct {
	cfg   Config
	log   *slog.Logger
	links []*Link

	// mu guards the books and everything in them. It is never held across I/O.
	mu     sync.Mutex
	books  []*book
	byName map[string]*book
	// addresses are the static and reserved rows, of all networks.
	addresses map[netip.Addr]inventory.Address
	// kept are leases of networks that are not there (yet, or any more).
	kept map[string][]inventory.Address
	// logged holds what is logged once only.
	logged map[string]bool
	rivals map[string]*rivalry

	queue   *queue
	commits chan outgoing
	wake    chan struct{}
	buffers sync.Pool
	stats   Stats
}

// Stats counts packets since the start.
type Stats struct {
	Received, Answered, Dropped, Commits, Committed atomic.Int64
}

// Stats returns the live counters.
func (s *Server) Stats() *Stats { return &s.stats }

// New returns a Server that has no networks yet. A missing part is
// inventory.ErrInvalid.
func New(cfg Config) (*Server, error) {
	if cfg.Booter == nil || cfg.Machines == nil || cfg.Leases == nil {
		return nil, inventory.Invalid("DHCP server without Booter, Machines or Leases")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.After == nil {
		cfg.After = time.After
	}
	if cfg.Workers == 0 {
		cfg.Workers = 4
	}
	if cfg.WatchEvery == 0 {
		cfg.WatchEvery = time.Minute
	}
	if cfg.Observer == nil {
		cfg.Observer = nobody{}
	}
	if cfg.Announcer == nil {
		cfg.Announcer = nobody{}
	}
	s := &Server{cfg: cfg, log: cfg.Log.With("component", "dhcp"), byName: map[string]*book{},
		addresses: map[netip.Addr]inventory.Address{}, logged: map[string]bool{}, kept: map[string][]inventory.Address{},
		rivals: map[string]*rivalry{}, queue: newQueue(),
		commits: make(chan outgoing, 1024), wake: make(chan struct{}, 1)}
	s.buffers.New = func() any { return new([packetBytes]byte) }
	return s, nil
}

type nobody struct{}

func (nobody) Saw(inventory.Sighting)     {}
func (nobody) Announce(inventory.Payload) {}

// Load reads the leases. Run calls it before the first answer.
func (s *Server) Load(ctx context.Context) error {
	rows, err := s.cfg.Leases.Addresses(ctx)
	if err != nil {
		return fmt.Errorf("load leases: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range rows {
		if isFixed(a) {
			s.addresses[a.IP] = a
			continue
		}
		if b := s.byName[a.Network]; b != nil {
			b.record(a)
		} else {
			s.kept[a.Network] = append(s.kept[a.Network], a)
		}
	}
	for _, b := range s.books {
		b.setNetwork(b.net, s.fixedOf(b.net.Name), s.ownAddrs())
	}
	return nil
}

// Run answers on the links until ctx ends, then finishes what it has begun, closes the
// links and returns nil. A broken socket ends it with an error.
func (s *Server) Run(ctx context.Context, links ...*Link) error {
	s.mu.Lock()
	s.links = links
	s.mu.Unlock()
	if err := s.Load(ctx); err != nil {
		return err
	}
	receiving, rctx := errgroup.WithContext(ctx)
	for _, l := range links {
		receiving.Go(func() error { return s.receive(l, l.DHCP, false) })
		if l.PXE != nil {
			receiving.Go(func() error { return s.receive(l, l.PXE, true) })
		}
		receiving.Go(func() error { return s.watch(rctx, l) })
	}
	receiving.Go(func() error { return s.refill(rctx) })
	stop := context.AfterFunc(rctx, func() { s.stopReading(links) })
	defer stop()

	var working, committing sync.WaitGroup
	for range s.cfg.Workers {
		working.Go(func() { s.work(context.WithoutCancel(ctx)) })
	}
	committing.Go(func() { s.commit(context.WithoutCancel(ctx)) })
	err := receiving.Wait()
	s.queue.close()
	working.Wait()
	close(s.commits)
	committing.Wait()
	for _, l := range links {
		err = errors.Join(err, l.Close())
	}
	return err
}

func (s *Server) stopReading(links []*Link) {
	for _, l := range links {
		for _, c := range []Conn{l.DHCP, l.PXE} {
			if c == nil {
				continue
			}
			if err := c.Stop(); err != nil {
				s.log.Warn("stop reading", "interface", l.Name, "err", err)
			}
		}
	}
}

// logOnce logs a warning the first time only; at most 256 different ones.
func (s *Server) logOnce(key, msg string, args ...any) {
	s.mu.Lock()
	seen := s.logged[key]
	if !seen && len(s.logged) < 256 {
		s.logged[key] = true
	} else {
		seen = true
	}
	s.mu.Unlock()
	if !seen {
		s.log.Warn(msg, args...)
	}
}
