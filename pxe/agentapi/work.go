package agentapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"ingot/inventory"
)

func (s *Server) beat(w http.ResponseWriter, r *http.Request, c caller) {
	var b Beat
	if err := readJSON(r, &b); err != nil {
		s.refuse(w, err, http.StatusBadRequest)
		return
	}
	err := s.change(r.Context(), c, func(x inventory.Tx, m *inventory.Machine) error {
		if b.Progress == nil || b.Generation != m.Spec.Generation {
			return nil
		}
		bounded(b.Progress)
		before := m.Status.Progress
		b.Progress.At = s.Now()
		m.Status.Progress = b.Progress
		if before != nil && before.Step == b.Progress.Step && before.Percent()/25 == b.Progress.Percent()/25 {
			return nil
		}
		return s.event(r.Context(), x, m, inventory.Progressed{Progress: *b.Progress})
	})
	s.done(w, err)
}

// bounded keeps what a hostile agent counts within its total, which bars are drawn from.
// A total of 0 is one that isn't known.
func bounded(p *inventory.Progress) {
	p.TotalBytes, p.WireBytes = max(p.TotalBytes, 0), max(p.WireBytes, 0)
	p.Bytes = max(p.Bytes, 0)
	if p.TotalBytes > 0 {
		p.Bytes = min(p.Bytes, p.TotalBytes)
	}
}

func (s *Server) report(w http.ResponseWriter, r *http.Request, c caller) {
	var rep inventory.Report
	if err := readJSON(r, &rep); err != nil {
		s.refuse(w, err, http.StatusBadRequest)
		return
	}
	rep.At, rep.Boot = s.Now(), c.Boot
	err := s.change(r.Context(), c, func(x inventory.Tx, m *inventory.Machine) error {
		if rep.Generation != m.Spec.Generation {
			return s.event(r.Context(), x, m, inventory.OrderRefused{Generation: rep.Generation, Reason: "report of an order that no longer stands"})
		}
		m.Status.Report = &rep
		m.Status.Progress = nil
		if rep.OK && rep.Order == string(OrderDeploy) {
			return s.event(r.Context(), x, m, inventory.Written{Report: rep, Image: m.Spec.Image})
		}
		return nil
	})
	s.done(w, err)
}

func (s *Server) appendLog(w http.ResponseWriter, r *http.Request, c caller) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLogBytes))
	if err != nil {
		fail(w, http.StatusRequestEntityTooLarge, "log chunk is too large", true)
		return
	}
	if err := s.Logs.Append(c.Machine, text); err != nil {
		s.done(w, err)
		return
	}
	err = s.change(r.Context(), c, func(_ inventory.Tx, m *inventory.Machine) error {
		m.Status.Agent.LastLog = lastLine(text, m.Status.Agent.LastLog)
		return nil
	})
	s.done(w, err)
}

func lastLine(text []byte, before string) string {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	last := string(bytes.ToValidUTF8(bytes.TrimSpace(lines[len(lines)-1]), []byte("?")))
	if last == "" {
		return before
	}
	return last[:min(len(last), 400)]
}

// change loads the caller's machine, checks that the session is the one that stands,
// lets f work on it, and stores it with a fresh beat.
func (s *Server) change(ctx context.Context, c caller, f func(inventory.Tx, *inventory.Machine) error) error {
	return s.Store.Update(ctx, func(x inventory.Tx) error {
		m, err := s.current(ctx, x, c)
		if err != nil {
			return err
		}
		m.Status.Beat = s.Now()
		if err := f(x, m); err != nil {
			return err
		}
		m.Updated = s.Now()
		return x.PutMachine(ctx, m)
	})
}

// current is the caller's machine, if the caller's boot is the one that stands; ErrSession
// if not.
func (s *Server) current(ctx context.Context, x inventory.Tx, c caller) (*inventory.Machine, error) {
	m, err := x.Machine(ctx, c.Machine)
	if err != nil {
		return nil, err
	}
	if m.Status.Agent == nil || m.Status.Agent.Boot != c.Boot {
		return nil, fmt.Errorf("boot %s: %w", c.Boot, ErrSession)
	}
	return m, nil
}

func (s *Server) done(w http.ResponseWriter, err error) {
	if err != nil {
		s.refuse(w, err, http.StatusUnauthorized)
		return
	}
	if s.Wake != nil {
		s.Wake()
	}
	w.WriteHeader(http.StatusNoContent)
}
