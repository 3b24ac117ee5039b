package netboot

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"ingot/inventory"
)

// Config is what the answers need to know of the server.
type Config struct {
	// HTTPPort is the machine listener's, TLSPort the agent API's.
	HTTPPort, TLSPort int
	// Pin is the TLS key that agents must find, see agentapi.
	Pin string
	// Discover offers the agent to machines that nobody knows.
	Discover bool
	// KernelArgs are added to the agent's command line.
	KernelArgs string
	// BootSet is the set of boot files that boots from now on; nil is one without a name.
	BootSet func() string
}

// Table is the snapshot that answers come from.
type Table struct {
	cfg Config

	mu       sync.RWMutex
	byMAC    map[inventory.MAC]*entry
	byUUID   map[string]*entry
	byID     map[string]*entry
	byAgent  map[netip.Addr]*entry
	networks map[string]inventory.BootChain
	refused  map[refusal]bool
}

// entry is what matters of one machine.
type entry struct {
	id, name   string
	uuid       string
	macs       []inventory.MAC
	vm         bool
	answer     inventory.BootAnswer
	why        string
	chain      inventory.BootChain
	secureBoot inventory.SecureBootState
	discovered bool
	// agent is where its agent speaks from; the zero Addr when there is none.
	agent netip.Addr
}

// NewTable returns an empty table.
func NewTable(cfg Config) *Table {
	return &Table{cfg: cfg, byMAC: map[inventory.MAC]*entry{}, byUUID: map[string]*entry{}, byID: map[string]*entry{},
		byAgent: map[netip.Addr]*entry{}, networks: map[string]inventory.BootChain{}, refused: map[refusal]bool{}}
}

// Load fills the table from the store.
func (t *Table) Load(ctx context.Context, s inventory.Store) (seq int64, err error) {
	err = s.View(ctx, func(x inventory.Tx) error {
		ms, err := x.Machines(ctx)
		if err != nil {
			return err
		}
		for _, m := range ms {
			t.Put(m)
		}
		last, err := x.Events(ctx, inventory.EventQuery{Limit: 1})
		if len(last) > 0 {
			seq = last[0].Seq
		}
		return errors.Join(err, t.loadNetworks(ctx, x))
	})
	if err != nil {
		return 0, fmt.Errorf("load boot table: %w", err)
	}
	return seq, nil
}

func (t *Table) loadNetworks(ctx context.Context, x inventory.Tx) error {
	ns, err := x.Networks(ctx)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range ns {
		t.networks[n.Name] = n.Chain
	}
	return nil
}

// Follow keeps the table current from the event after seq on, until ctx ends.
func (t *Table) Follow(ctx context.Context, s inventory.Store, seq int64) error {
	return s.Follow(ctx, seq, func(e inventory.Event) error {
		if e.Machine == "" {
			return nil
		}
		var m *inventory.Machine
		err := s.View(ctx, func(x inventory.Tx) error {
			var err error
			m, err = x.Machine(ctx, e.Machine)
			return err
		})
		if errors.Is(err, inventory.ErrNotFound) {
			t.remove(e.Machine)
			return nil
		}
		if err != nil {
			return fmt.Errorf("follow machines: %w", err)
		}
		t.Put(m)
		return nil
	})
}

// Put makes the table know a machine as it is now.
func (t *Table) Put(m *inventory.Machine) {
	answer, why := Answer(m)
	e := &entry{id: m.ID, name: m.Name, uuid: m.Identity.UUID, macs: m.Identity.MACs, vm: m.Kind == inventory.KindVM,
		answer: answer, why: why, chain: m.Spec.Chain, secureBoot: m.Status.SecureBoot,
		discovered: m.Status.State == inventory.Discovered}
	if m.Status.Agent != nil {
		e.agent = m.Status.Agent.Address
	}
	t.remove(m.ID)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byID[e.id] = e
	for _, mac := range e.macs {
		t.byMAC[mac] = e
	}
	if e.uuid != "" {
		t.byUUID[e.uuid] = e
	}
	if e.agent.IsValid() {
		t.byAgent[e.agent] = e
	}
}

func (t *Table) remove(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.byID[id]
	if !ok {
		return
	}
	delete(t.byID, id)
	delete(t.byUUID, e.uuid)
	if t.byAgent[e.agent] == e {
		delete(t.byAgent, e.agent)
	}
	for _, mac := range e.macs {
		delete(t.byMAC, mac)
	}
}

// lookup finds a machine by MAC; a UUID that belongs to another machine wins over the
// MAC only when the MAC is unknown, since the agent settles identity.
func (t *Table) lookup(mac inventory.MAC, uuid string) *entry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if e := t.byMAC[mac]; e != nil {
		return e
	}
	id := inventory.Identity{UUID: uuid}.Trusted()
	if id.UUID == "" {
		return nil
	}
	return t.byUUID[id.UUID]
}

// AgentAt returns the id of the machine whose agent speaks from an address.
func (t *Table) AgentAt(ip netip.Addr) (id string, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	e := t.byAgent[ip]
	if e == nil {
		return "", false
	}
	return e.id, true
}

// Known reports whether inventory has a machine with this MAC.
func (t *Table) Known(mac inventory.MAC) bool { return t.lookup(mac, "") != nil }

// waiting counts the machines that were discovered and wait for approval.
func (t *Table) waiting() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := 0
	for _, e := range t.byID {
		if e.discovered {
			n++
		}
	}
	return n
}

// SetNetworks replaces the networks' overrides.
func (t *Table) SetNetworks(ns []inventory.Network) {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.networks)
	for _, n := range ns {
		t.networks[n.Name] = n.Chain
	}
}

func (t *Table) networkChain(name string) inventory.BootChain {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.networks[name]
}
