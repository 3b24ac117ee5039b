package winrmsim

import (
	"context"
	"maps"
	"path"
	"slices"
	"sync"
)

// Request is a request that came in, without what was in its streams and its login.
type Request struct {
	// Action is the last part of the action's URI: Create, Command, Send, Receive,
	// Signal or Delete.
	Action  string
	Shell   string
	Options map[string]string
	// Bytes of the envelope.
	Bytes int
	// Code of the fault that answered it; 0 is none so far.
	Code uint32
}

// recorder keeps requests.
type recorder struct {
	mu      sync.Mutex
	all     []Request
	changed chan struct{}
}

// short is the action's name.
func (r *request) short() string { return path.Base(r.action) }

func (c *recorder) begin(r *request, size int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, Request{Action: r.short(), Shell: r.shell, Options: maps.Clone(r.options), Bytes: size})
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
	return len(c.all) - 1
}

func (c *recorder) end(n int, f *Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f != nil && n < len(c.all) {
		c.all[n].Code = f.Code
	}
}

// Requests are those that came in so far.
func (s *Server) Requests() []Request {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	return slices.Clone(s.record.all)
}

// Count is how many requests of an action came in.
func (s *Server) Count(action string) int {
	n := 0
	for _, r := range s.Requests() {
		if r.Action == action {
			n++
		}
	}
	return n
}

// Await waits until n requests of an action have come in.
func (s *Server) Await(ctx context.Context, action string, n int) error {
	for {
		s.record.mu.Lock()
		if s.record.changed == nil {
			s.record.changed = make(chan struct{})
		}
		next := s.record.changed
		s.record.mu.Unlock()
		if s.Count(action) >= n {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
