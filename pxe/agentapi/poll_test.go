package agentapi

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

// TestOrder: an order goes out at once when there is one, with the question as asked; a
// denied one is an error.
func TestOrder(t *testing.T) {
	s := newService(t)
	c, _ := s.up(hello("boot-one", uuidA, macA))
	s.order = Order{Kind: OrderDeploy, Generation: 3, Deploy: &Deploy{Image: "debian-12"}}
	got, err := c.Order(t.Context(), 2)
	if d := cmp.Diff(s.order, got); err != nil || d != "" {
		t.Errorf("order (-want +got):\n%s%v", d, err)
	}
	if len(s.asked) != 1 || s.asked[0].Done != 2 || s.asked[0].Session.Boot != "boot-one" || s.asked[0].Local != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("asked = %+v", s.asked)
	}
	s.err = inventory.ErrDenied
	if _, err := c.Order(t.Context(), 2); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("denied order: %v", err)
	}
}

// TestOrderIsHeldOpen: a poll that finds nothing waits, and ends with the order that
// comes.
func TestOrderIsHeldOpen(t *testing.T) {
	s := newService(t)
	c, _ := s.up(hello("boot-one", uuidA, macA))
	type answer struct {
		order Order
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		o, err := c.Order(t.Context(), 0)
		done <- answer{o, err}
	}()
	s.mu.Lock()
	s.order = Order{Kind: OrderReboot}
	s.mu.Unlock()
	if a := <-done; a.err != nil || a.order.Kind != OrderReboot {
		t.Errorf("order = %+v, %v", a.order, a.err)
	}
}
