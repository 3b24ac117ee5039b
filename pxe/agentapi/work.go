package agentapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"ingot/inventory"
)

func (s *Server) facts(w http.ResponseWriter, r *http.Request, c caller) {
	var f inventory.Facts
	if err := readJSON(r, &f); err != nil {
		s.refuse(w, err, http.StatusBadRequest)
		return
	}
	f.At = s.Now()
	err := s.change(r.Context(), c, func(x inventory.Tx, m *inventory.Machine) error {
		return s.storeFacts(r.Context(), x, m, &f)
	})
	s.done(w, err)
}

func (s *Server) storeFacts(ctx context.Context, x inventory.Tx, m *inventory.Machine, f *inventory.Facts) error {
	if contradiction := m.Identity.Contradicts(f.Identity()); contradiction != "" {
		return inventory.Conflict("facts of %s: %s", m.Name, contradiction)
	}
	var old *inventory.Facts
	if m.Status.FactsVersion > 0 {
		before, err := x.Facts(ctx, m.ID, 0)
		if err != nil {
			return err
		}
		old = before
	}
	version, err := x.AddFacts(ctx, m.ID, f)
	if err != nil {
		return err
	}
	m.Identity.Absorb(f.Identity())
	m.Status.SecureBoot, m.Status.Firmware = f.Firmware.SecureBoot, f.Firmware.Mode
	m.Status.Agent.FactsAt = s.Now()
	if version == m.Status.FactsVersion {
		return nil
	}
	m.Status.FactsVersion = version
	return s.event(ctx, x, m, inventory.FactsRead{Version: version, Summary: f.Summary(), Changes: f.Changes(old)})
}

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

// order holds the request open until there is something to do.
func (s *Server) order(w http.ResponseWriter, r *http.Request, c caller) {
	done, err := strconv.ParseInt(r.URL.Query().Get("done"), 10, 64)
	if err != nil {
		fail(w, http.StatusBadRequest, "done is not a number", true)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), PollTimeout)
	defer cancel()
	o, err := s.nextOrder(ctx, c, done)
	for err == nil && o.Kind == OrderWait && wait(ctx) {
		o, err = s.nextOrder(ctx, c, done)
	}
	if err != nil && ctx.Err() == nil {
		s.refuse(w, err, http.StatusNotFound)
		return
	}
	if err != nil {
		o = Order{Kind: OrderWait}
	}
	answer(w, http.StatusOK, o)
}

// nextOrder looks without writing first: most polls find nothing to do.
func (s *Server) nextOrder(ctx context.Context, c caller, done int64) (Order, error) {
	ask := Ask{Session: c.Session, Done: done, Local: c.local}
	pending := false
	err := s.Store.View(ctx, func(x inventory.Tx) error {
		m, err := s.current(ctx, x, c)
		if err == nil {
			pending = s.Orders.Pending(m, ask)
		}
		return err
	})
	o := Order{Kind: OrderWait}
	if err != nil || !pending {
		return o, err
	}
	err = s.change(ctx, c, func(x inventory.Tx, m *inventory.Machine) error {
		var err error
		o, err = s.Orders.Order(ctx, x, m, ask)
		return err
	})
	return o, err
}

// wait returns true when it is time to look again, false when the poll is over.
func wait(ctx context.Context) bool {
	nap := time.NewTimer(lookEvery)
	defer nap.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-nap.C:
		return true
	}
}

// lookEvery is how soon a held poll notices a new order.
const lookEvery = 500 * time.Millisecond

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
