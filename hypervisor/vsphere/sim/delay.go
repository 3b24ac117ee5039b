package sim

import (
	"sync"
	"time"
)

// Delay holds the tasks of a method back by that long; they can be cancelled meanwhile.
func (s *Server) Delay(method string, by time.Duration) { s.delays.Store(method, by) }

// Hold holds the tasks of a method back until release is called; they can be cancelled
// meanwhile.
func (s *Server) Hold(method string) (release func()) {
	held := make(chan struct{})
	s.holds.Store(method, held)
	return sync.OnceFunc(func() { s.holds.Delete(method); close(held) })
}

// heldBack waits for as long as tasks of a method are held back; false when the task was
// cancelled.
func (s *Server) heldBack(method string, cancel <-chan struct{}) bool {
	var over <-chan time.Time
	var released chan struct{}
	by, late := s.delays.Load(method)
	if late {
		over = time.After(by.(time.Duration))
	}
	hold, held := s.holds.Load(method)
	if held {
		released = hold.(chan struct{})
	}
	if !late && !held {
		return true
	}
	select {
	case <-cancel:
		return false
	case <-over:
	case <-released:
	}
	return true
}
