package agentapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"ingot/inventory"
)

func (s *Server) hello(w http.ResponseWriter, r *http.Request) {
	var h Hello
	if err := readJSON(r, &h); err != nil {
		s.refuse(w, err, http.StatusBadRequest)
		return
	}
	welcome, err := s.open(r.Context(), h, remoteAddr(r))
	if err != nil {
		s.sawHello(h, inventory.SawAgentRefused, err.Error())
		s.refuse(w, err, http.StatusNotFound)
		return
	}
	s.sawHello(h, inventory.SawAgentHello, "")
	answer(w, http.StatusOK, welcome)
}

func (s *Server) sawHello(h Hello, kind inventory.SightingKind, reason string) {
	mac := h.BootMAC
	if mac == "" && len(h.Identity.MACs) > 0 {
		mac = h.Identity.MACs[0]
	}
	if s.Saw == nil || mac == "" {
		return
	}
	now := s.Now()
	s.Saw(inventory.Sighting{MAC: mac, Kind: kind, Detail: reason, Count: 1, First: now, Last: now})
}

// open finds or makes the machine and gives the boot a session.
func (s *Server) open(ctx context.Context, h Hello, from netip.Addr) (Welcome, error) {
	if err := checkHello(&h); err != nil {
		return Welcome{}, err
	}
	token, hash := NewToken()
	var machine *inventory.Machine
	var refused error
	err := s.Store.Update(ctx, func(x inventory.Tx) error {
		refused = nil
		m, err := s.find(ctx, x, h)
		if errors.Is(err, inventory.ErrConflict) {
			refused = err
			return s.conflict(ctx, x, h, err)
		}
		if err != nil {
			return err
		}
		if refused = s.secondClaim(m, h); refused != nil {
			return s.event(ctx, x, m, inventory.AgentAlarm{Address: from, Reason: refused.Error()})
		}
		machine = m
		return s.admit(ctx, x, m, h, hash, from)
	})
	if err = errors.Join(err, refused); err != nil {
		return Welcome{}, err
	}
	return Welcome{Token: token, Machine: machine.ID, Name: machine.Name, Time: s.Now(), BeatEvery: BeatEvery, NetconsolePort: s.NetconsolePort}, nil
}

func checkHello(h *Hello) error {
	if len(h.Boot) < 8 || len(h.Boot) > 64 {
		return inventory.Invalid("hello: boot name of %d characters (want 8 to 64)", len(h.Boot))
	}
	h.Identity = h.Identity.Trusted()
	if h.BootMAC != "" {
		mac, err := inventory.ParseMAC(string(h.BootMAC))
		if err != nil {
			return fmt.Errorf("hello: boot interface: %w", err)
		}
		h.BootMAC = mac
	}
	if len(h.Identity.MACs) == 0 {
		return inventory.Invalid("hello: no MAC address")
	}
	if len(h.BootSet) > 64 || strings.Trim(h.BootSet, "0123456789abcdef") != "" {
		return inventory.Invalid("hello: boot set %.80q (want hex digits)", h.BootSet)
	}
	if len(h.Identity.MACs) > 64 || len(h.Identity.Serial) > 256 {
		return inventory.Invalid("hello: identity is too large")
	}
	return nil
}

func (s *Server) find(ctx context.Context, x inventory.Tx, h Hello) (*inventory.Machine, error) {
	candidates, err := x.MachinesLike(ctx, h.Identity)
	if err != nil {
		return nil, err
	}
	m, err := inventory.Match(h.Identity, candidates)
	if err != nil || m != nil {
		return m, err
	}
	return s.discover(ctx, x, h)
}

// discover makes the machine that nobody knew.
func (s *Server) discover(ctx context.Context, x inventory.Tx, h Hello) (*inventory.Machine, error) {
	mac := h.BootMAC
	if mac == "" {
		mac = h.Identity.MACs[0]
	}
	m := inventory.NewMachine(mac, s.Now())
	m.Identity = h.Identity
	return m, s.event(ctx, x, m, inventory.Seen{MAC: mac, By: "agent"})
}

// conflict marks the machines that the identity touches; nothing is done with them
// until someone decides.
func (s *Server) conflict(ctx context.Context, x inventory.Tx, h Hello, reason error) error {
	ms, err := x.MachinesLike(ctx, h.Identity)
	if err != nil {
		return err
	}
	for _, m := range ms {
		if m.Status.Conflict == reason.Error() {
			continue
		}
		m.Status.Conflict, m.Updated = reason.Error(), s.Now()
		if err := x.PutMachine(ctx, m); err != nil {
			return err
		}
		if err := s.event(ctx, x, m, inventory.Conflicted{Reason: reason.Error(), MAC: h.BootMAC}); err != nil {
			return err
		}
	}
	return nil
}

// secondClaim refuses a hello while another boot's agent still speaks for the machine.
func (s *Server) secondClaim(m *inventory.Machine, h Hello) error {
	a := m.Status.Agent
	if a == nil || a.Boot == h.Boot || s.Now().Sub(m.Status.Beat) > SilentAfter {
		return nil
	}
	return inventory.Conflict("another agent speaks for %s (boot %s, last heard %s ago)", m.Name, a.Boot,
		s.Now().Sub(m.Status.Beat).Round(time.Second))
}

func (s *Server) admit(ctx context.Context, x inventory.Tx, m *inventory.Machine, h Hello, hash string, from netip.Addr) error {
	now := s.Now()
	m.Identity.Absorb(h.Identity)
	m.Status.Firmware, m.Status.SecureBoot = h.Firmware, h.SecureBoot
	fresh := m.Status.Agent == nil || m.Status.Agent.Boot != h.Boot
	if fresh {
		m.Status.Agent = &inventory.AgentSession{Boot: h.Boot, Since: now, MAC: h.BootMAC, BootSet: h.BootSet}
	}
	m.Status.Agent.Address = from
	m.Status.Address, m.Status.AddressSource = from, "agent"
	m.Status.Beat, m.Updated = now, now
	if err := x.PutMachine(ctx, m); err != nil {
		return err
	}
	if err := x.PutSession(ctx, inventory.Session{TokenHash: hash, Machine: m.ID, Boot: h.Boot, Created: now}); err != nil {
		return err
	}
	if !fresh {
		return nil
	}
	return s.event(ctx, x, m, inventory.AgentUp{Boot: h.Boot, Address: from, Kernel: h.Kernel, Version: h.Version, BootSet: h.BootSet})
}

func (s *Server) event(ctx context.Context, x inventory.Tx, m *inventory.Machine, p inventory.Payload) error {
	e, err := inventory.NewEvent(m, s.Now(), p)
	if err != nil {
		return err
	}
	_, err = x.AddEvent(ctx, e)
	return err
}

// NewBoot returns the name of a boot.
func NewBoot() string { return strings.ToLower(rand.Text()[:16]) }
