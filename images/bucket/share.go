package bucket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ingot/images"
	"ingot/inventory"
)

// Share keeps a store and a bucket the same in what both should have. Set the fields
// before it is used; it is safe for many goroutines.
type Share struct {
	// Store is opened without Trust; Trust is asked before a channel follows to an image.
	// nil trusts all.
	Store *images.Store
	Trust func(document []byte, signatures map[string][]byte) error
	// Server is this server's ID, unlike any other's; Name is for people.
	Server, Name string
	// Decide tells what the store has and keeps: it goes to the bucket and stays there.
	Decide func(ctx context.Context) ([]images.Decision, error)
	// Retention is for the bucket.
	Retention images.Retention
	// Interval is how often the bucket is looked at, Forget how long a server counts that
	// wrote nothing.
	Interval, Forget time.Duration
	// Followed is told of a channel that another server moved; nil is allowed.
	Followed func(ctx context.Context, name string, to inventory.ChannelMove)
	// Changed is told after a look that changed the store; nil is allowed.
	Changed func(ctx context.Context) error
	Now     func() time.Time
	// After is time.After, or a test's.
	After func(time.Duration) <-chan time.Time
	Log   *slog.Logger
	// Stats count what was done.
	Stats Stats

	objects *objects
	wake    chan struct{}
	// One look, one push, one writer of the record, one collection at a time.
	looking, pushing, recording, collecting turn

	mu      sync.Mutex
	checked bool
	// seen is each name's channels as the last look found them.
	seen map[string]channels
	// kept and claims are what the record has, by digest; wrote is the one in the bucket.
	kept   []held
	claims map[string]held
	wrote  record
}

// Open makes the share of a bucket; nothing is asked of it yet. Bad options are
// inventory.ErrInvalid, mostly as a [*BadOption].
func Open(o Options) (*Share, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	objects, err := openObjects(o)
	if err != nil {
		return nil, err
	}
	return &Share{objects: objects, wake: make(chan struct{}, 1), looking: newTurn(), pushing: newTurn(), recording: newTurn(), collecting: newTurn(),
		seen: map[string]channels{}, claims: map[string]held{},
		Now: time.Now, After: time.After, Log: slog.New(slog.DiscardHandler)}, nil
}

// turn lets one at a time.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) enter(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) leave() { <-t }

// Wake makes [Share.Run] look now.
func (s *Share) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run looks at the bucket again and again until ctx ends. What fails is logged, and tried
// again with the next look.
func (s *Share) Run(ctx context.Context) error {
	last := ""
	for {
		err := s.Look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case err != nil && err.Error() != last:
			s.Log.Error("share images", "bucket", s.objects.where, "err", err)
		case err == nil && last != "":
			s.Log.Info("images are shared again", "bucket", s.objects.where)
		}
		last = ""
		if err != nil {
			last = err.Error()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.After(s.Interval):
		case <-s.wake:
		}
	}
}

// Look says what this server has, brings what the bucket's channels point to, and puts
// there what it lacks. It goes on after an error that is about one image or channel.
func (s *Share) Look(ctx context.Context) error {
	if err := s.looking.enter(ctx); err != nil {
		return err
	}
	defer s.looking.leave()
	err := s.look(ctx)
	s.Stats.looked(s.Now(), err)
	return err
}

func (s *Share) look(ctx context.Context) error {
	if err := s.ensureChecked(ctx); err != nil {
		return err
	}
	var all []error
	for _, step := range []func(context.Context) error{s.mend, s.follow, s.register, s.exchange, s.seed} {
		err := step(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		all = append(all, err)
		if errors.Is(err, ErrUnreachable) {
			break
		}
	}
	if s.Changed != nil {
		all = append(all, s.Changed(ctx))
	}
	return errors.Join(all...)
}

func (s *Share) ensureChecked(ctx context.Context) error {
	s.mu.Lock()
	done := s.checked
	s.mu.Unlock()
	if done {
		return nil
	}
	return s.Check(ctx)
}

func (s *Share) String() string { return fmt.Sprintf("bucket %s", s.objects.where) }
