package dhcp

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// watch asks a link for other servers now and then, and listens all the time.
func (s *Server) watch(ctx context.Context, l *Link) error {
	if l.Sniffer == nil {
		return nil
	}
	heard := make(chan OtherServer, 64)
	var listening errgroup.Group
	listening.Go(func() error { defer close(heard); return listen(l.Sniffer, heard) })
	err := s.watchLoop(ctx, l, heard)
	err = errors.Join(err, l.Sniffer.Close())
	if e := listening.Wait(); e != nil {
		err = errors.Join(err, fmt.Errorf("watch %s for DHCP servers: %w", l.Name, e))
	}
	return err
}

func (s *Server) watchLoop(ctx context.Context, l *Link, heard <-chan OtherServer) error {
	for {
		if err := l.Sniffer.Discover(); err != nil {
			s.logOnce("discover "+l.Name, "send probe for other DHCP servers", "interface", l.Name, "err", err)
		}
		next := s.cfg.After(s.cfg.WatchEvery)
	waiting:
		for {
			select {
			case <-ctx.Done():
				return nil
			case o, ok := <-heard:
				if !ok {
					return nil
				}
				s.heard(l, o)
			case <-next:
				break waiting
			}
		}
		s.forgetRivals()
		s.refreshLink(l)
	}
}

// refreshLink follows changes of the interface's addresses.
func (s *Server) refreshLink(l *Link) {
	if l.refresh == nil {
		return
	}
	if err := l.refresh(); err != nil {
		s.logOnce("refresh "+l.Name, "read interface addresses", "interface", l.Name, "err", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.books {
		b.setOwn(s.ownAddrs())
	}
}
