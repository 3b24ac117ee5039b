package fleet_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"ingot/hypervisor"
	"ingot/inventory"
)

// TestAddresses: hosts and our own leases are asked; the best source is believed, and an
// address that is known and still there stays.
func TestAddresses(t *testing.T) {
	w := newWorld(t, "kvm1")
	w.create("web", "kvm1", 1<<30)
	m := w.until("web", phase(inventory.PhaseFirstBoot))
	h := w.hosts["kvm1"]
	ip := netip.MustParseAddr
	for _, step := range []struct {
		has    []hypervisor.Address
		want   string
		source string
	}{
		{nil, "198.51.100.7", "ingot lease"},
		{[]hypervisor.Address{{IP: ip("fe80::1"), Source: hypervisor.FromAgent}, {IP: ip("192.0.2.9"), Source: hypervisor.FromARP}}, "198.51.100.7", "ingot lease"},
		{[]hypervisor.Address{{IP: ip("2001:db8::1"), Source: hypervisor.FromAgent}, {IP: ip("192.0.2.9"), Source: hypervisor.FromLease}}, "192.0.2.9", "hypervisor lease"},
		{[]hypervisor.Address{{IP: ip("192.0.2.8"), Source: hypervisor.FromAgent}, {IP: ip("192.0.2.9"), Source: hypervisor.FromLease}}, "192.0.2.9", "hypervisor lease"},
		{[]hypervisor.Address{{IP: ip("192.0.2.8"), Source: hypervisor.FromAgent}}, "192.0.2.8", "guest agent"},
	} {
		h.mu.Lock()
		h.vms[m.Status.VM.UUID].vm.NICs[0].Addresses = step.has
		h.mu.Unlock()
		w.update(func(ctx context.Context, x inventory.Tx) error {
			if step.want != "198.51.100.7" {
				return x.PutAddress(ctx, inventory.Address{IP: ip("198.51.100.7"), Use: inventory.AddressLeased, MAC: m.Identity.MACs[0], Updated: time.Now().Add(-2 * time.Hour), Expires: time.Now().Add(-time.Hour)})
			}
			return x.PutAddress(ctx, inventory.Address{IP: ip("198.51.100.7"), Use: inventory.AddressLeased, MAC: m.Identity.MACs[0], Updated: time.Now(), Expires: time.Now().Add(time.Hour)})
		})
		if err := w.fleet.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.update(func(ctx context.Context, x inventory.Tx) (err error) { m, err = x.Machine(ctx, "web"); return err })
		if m.Status.Address.String() != step.want || m.Status.AddressSource != step.source {
			t.Errorf("%v: address %s by %q, want %s by %q", step.has, m.Status.Address, m.Status.AddressSource, step.want, step.source)
		}
	}
}
