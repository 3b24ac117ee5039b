package dhcp

import (
	"errors"
	"fmt"
	"net"
	"time"

	"ingot/inventory"
)

// packetBytes is the longest packet that is read; longer ones are dropped.
const packetBytes = 4096

// queue holds received packets until a worker is free: two bounded lines, so that a
// flood of unknown MACs neither grows without bound nor delays known machines.
type queue struct {
	known, others chan queued
}

type queued struct {
	inbound
	buf *[packetBytes]byte
}

func newQueue() *queue {
	return &queue{known: make(chan queued, 2048), others: make(chan queued, 512)}
}

func (q *queue) close() {
	close(q.known)
	close(q.others)
}

// put reports false when the line is full.
func (q *queue) put(p queued, known bool) bool {
	line := q.others
	if known {
		line = q.known
	}
	select {
	case line <- p:
		return true
	default:
		return false
	}
}

// next returns the next packet, of a known machine if there is one; false after close,
// when both lines are empty.
func (q *queue) next() (queued, bool) {
	select {
	case p, ok := <-q.known:
		if ok {
			return p, true
		}
	default:
	}
	select {
	case p, ok := <-q.known:
		if ok {
			return p, true
		}
		p, ok = <-q.others
		return p, ok
	case p, ok := <-q.others:
		if ok {
			return p, true
		}
		p, ok = <-q.known
		return p, ok
	}
}

// receive reads one socket until it is stopped.
func (s *Server) receive(l *Link, c Conn, port4011 bool) error {
	failures := 0
	for {
		buf := s.buffers.Get().(*[packetBytes]byte)
		n, source, dest, err := c.Read(buf[:])
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			// A link that goes down shows up as one error, then reads go on.
			if failures++; failures > 10 {
				return fmt.Errorf("read DHCP packets on %s: %w", l.Name, err)
			}
			s.log.Warn("read packet", "interface", l.Name, "err", err)
			<-s.cfg.After(100 * time.Millisecond)
			continue
		}
		failures = 0
		s.stats.Received.Add(1)
		p := queued{inbound{link: l, port4011: port4011, source: source, dest: dest, data: buf[:n]}, buf}
		if !s.queue.put(p, s.isKnown(p.data)) {
			s.stats.Dropped.Add(1)
			s.buffers.Put(buf)
		}
	}
}

// isKnown reports whether a packet comes from a machine of the inventory, or one that
// has a lease. It looks at the hardware address only.
func (s *Server) isKnown(packet []byte) bool {
	if len(packet) < 34 {
		return false
	}
	mac, err := inventory.MACFrom(packet[28:34])
	if err != nil {
		return false
	}
	if s.cfg.Machines.Known(mac) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.books {
		if b.knows(client{mac: mac}) {
			return true
		}
	}
	return false
}
