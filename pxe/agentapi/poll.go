package agentapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"ingot/inventory"
)

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
