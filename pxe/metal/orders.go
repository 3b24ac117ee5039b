package metal

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"ingot/inventory"
	"ingot/pxe/agentapi"
)

// Orders implements agentapi.Orders.
type Orders struct {
	// Inventory names this installation; agents record it on the disks they write.
	Inventory string
	// Now is the clock.
	Now func() time.Time
	// PhoneHomeURL is where the installed system of a generation reports; local is the
	// server's address that the agent talks to.
	PhoneHomeURL func(local netip.Addr, machine string, generation int64) string
	// Trust returns the keys that images must be signed by, and an image's signatures; nil
	// asks for none.
	Trust func(digest string) (keys, signatures []string, err error)
}

var _ agentapi.Orders = (*Orders)(nil)

// Pending implements agentapi.Orders.
func (o *Orders) Pending(m *inventory.Machine, a agentapi.Ask) bool {
	return o.kind(m, a) != agentapi.OrderWait
}

// kind chooses by state and phase alone.
func (o *Orders) kind(m *inventory.Machine, a agentapi.Ask) agentapi.OrderKind {
	if m.Status.Hold != "" || m.Status.Conflict != "" {
		return agentapi.OrderWait
	}
	fresh := a.Done < m.Spec.Generation || m.Status.Report == nil
	switch m.Status.State {
	case inventory.Inspecting:
		if f := m.Status.Agent.FactsAt; f.Before(m.Status.PhaseSince) {
			return agentapi.OrderRefresh
		}
	case inventory.Deploying:
		switch {
		case m.Status.Phase == inventory.PhaseWrite && m.Status.Report == nil && fresh:
			return agentapi.OrderDeploy
		case m.Status.Phase == inventory.PhaseReboot, m.Status.Phase == inventory.PhaseFirstBoot:
			return agentapi.OrderReboot
		}
	case inventory.Releasing:
		if m.Status.Report == nil {
			return agentapi.OrderWipe
		}
	}
	return agentapi.OrderWait
}

// Order implements agentapi.Orders.
func (o *Orders) Order(ctx context.Context, x inventory.Tx, m *inventory.Machine, a agentapi.Ask) (agentapi.Order, error) {
	order := agentapi.Order{Kind: o.kind(m, a), Generation: m.Spec.Generation, Inventory: o.Inventory}
	switch order.Kind {
	case agentapi.OrderDeploy:
		if err := o.claim(ctx, x, m, a); err != nil {
			return agentapi.Order{}, err
		}
		d, err := o.deploy(ctx, x, m, a)
		order.Deploy = d
		return order, err
	case agentapi.OrderWipe:
		order.Wipe = &agentapi.Wipe{Machine: m.ID}
	}
	return order, nil
}

// claim gives the asking session the right to this machine's secrets. The first claim
// of a generation is trusted on first use; one by another boot is let through, since
// only one session can be alive, and raises an alarm unless the first agent was seen to
// go (a power cut).
func (o *Orders) claim(ctx context.Context, x inventory.Tx, m *inventory.Machine, a agentapi.Ask) error {
	if !m.Spec.Approved {
		return fmt.Errorf("machine %s is not approved: %w", m.Name, inventory.ErrDenied)
	}
	if m.Status.Agent.Trusted {
		return nil
	}
	if err := o.secondClaim(ctx, x, m, a); err != nil {
		return err
	}
	m.Status.Agent.Trusted = true
	m.Status.Claim = &inventory.Claim{Generation: m.Spec.Generation, Boot: a.Session.Boot, At: o.Now()}
	a.Session.Trusted = true
	return x.PutSession(ctx, a.Session)
}

func (o *Orders) secondClaim(ctx context.Context, x inventory.Tx, m *inventory.Machine, a agentapi.Ask) error {
	c := m.Status.Claim
	if c == nil || c.Generation != m.Spec.Generation || c.Boot == a.Session.Boot {
		return nil
	}
	lost, err := x.Events(ctx, inventory.EventQuery{Machine: m.ID, Kinds: []inventory.EventKind{inventory.EventAgentLost}, Limit: 1})
	if err != nil || (len(lost) > 0 && lost[0].Time.After(c.At)) {
		return err
	}
	alarm := inventory.AgentAlarm{Address: m.Status.Agent.Address,
		Reason: fmt.Sprintf("boot %s takes order %d, which boot %s took before and was not seen to leave", a.Session.Boot, m.Spec.Generation, c.Boot)}
	e, err := inventory.NewEvent(m, o.Now(), alarm)
	if err != nil {
		return err
	}
	_, err = x.AddEvent(ctx, e)
	return err
}
