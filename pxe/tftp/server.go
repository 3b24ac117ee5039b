package tftp

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	lib "github.com/pin/tftp/v3"
	"golang.org/x/sync/errgroup"

	"ingot/inventory"
)

const (
	// blockMaxBytes is the largest block: with the IPv4, UDP and TFTP headers it
	// makes a frame of 1500 bytes.
	blockMaxBytes = 1468
	// retransmit is the wait for an acknowledgement; resends is how often it is
	// repeated before the client counts as gone (6.5 s in all).
	retransmit = 500 * time.Millisecond
	resends    = 12
	// sizeMaxBytes keeps the size option within the space the library has for it, and
	// block numbers within what clients count.
	sizeMaxBytes = 512 << 20
)

// Config is what a Server works with. Files must be there.
type Config struct {
	Files    Files
	Observer Observer
	// Log nil means discard.
	Log *slog.Logger
	// MaxTransfers is how many may run at once; more are refused. 0 means 1024.
	MaxTransfers int
	// Grace is how long transfers may go on when the server stops; 0 means 5 s.
	Grace time.Duration
	// Now nil means time.Now, After nil means time.After.
	Now   func() time.Time
	After func(time.Duration) <-chan time.Time
}

// Server serves files on any number of sockets.
type Server struct {
	cfg   Config
	log   *slog.Logger
	slots chan struct{}
	stop  chan struct{}
	awake *awake

	mu sync.Mutex
	// running counts transfers of the same file to the same port: a client that
	// repeats its request starts a second one.
	running map[session]int
}

// New returns a Server. Without Files it is inventory.ErrInvalid.
func New(cfg Config) (*Server, error) {
	if cfg.Files == nil {
		return nil, inventory.Invalid("TFTP server without Files")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Observer == nil {
		cfg.Observer = nobody{}
	}
	if cfg.MaxTransfers == 0 {
		cfg.MaxTransfers = 1024
	}
	if cfg.Grace == 0 {
		cfg.Grace = 5 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.After == nil {
		cfg.After = time.After
	}
	log := cfg.Log.With("component", "tftp")
	slots := make(chan struct{}, cfg.MaxTransfers)
	watcher := &awake{after: cfg.After, transfers: func() int { return len(slots) },
		sleepless: request{ask: lowLatency, what: "no sleep between two blocks", log: log},
		turns:     request{ask: takeTurns, what: "no interruption for each packet", log: log}}
	return &Server{cfg: cfg, log: log, slots: slots, stop: make(chan struct{}), awake: watcher, running: map[session]int{}}, nil
}

type nobody struct{}

func (nobody) Transferred(Transfer) {}

// Run serves on the sockets until ctx ends, lets transfers finish for the time of
// grace, closes the sockets and returns nil. It can be called once.
func (s *Server) Run(ctx context.Context, conns ...*net.UDPConn) error {
	open, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var serving errgroup.Group
	var servers []*lib.Server
	for _, conn := range conns {
		srv := s.library(open)
		servers = append(servers, srv)
		serving.Go(func() error {
			if err := srv.Serve(conn); err != nil {
				return fmt.Errorf("serve TFTP on %s: %w", conn.LocalAddr(), err)
			}
			return nil
		})
	}
	defer s.awake.wait()
	<-ctx.Done()
	var stopping sync.WaitGroup
	for _, srv := range servers {
		stopping.Go(srv.Shutdown)
	}
	finished := make(chan struct{})
	go func() { stopping.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-s.cfg.After(s.cfg.Grace):
		close(s.stop)
		<-finished
	}
	return serving.Wait()
}

func (s *Server) library(ctx context.Context) *lib.Server {
	srv := lib.NewServer(func(name string, rf io.ReaderFrom) error { return s.serve(ctx, name, rf) }, nil)
	srv.SetBlockSize(blockMaxBytes)
	srv.SetTimeout(retransmit)
	srv.SetRetries(resends)
	srv.SetBackoff(func(int) time.Duration { return 0 })
	return srv
}
