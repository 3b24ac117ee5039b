package e2e

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"ingot/inventory"
	"ingot/pxe/lab"
)

// TestWhyTwoServers: dnsmasq gives addresses on the network that Ingot leads.
func TestWhyTwoServers(t *testing.T) {
	need(t)
	t.Parallel()
	r := newRack(t, lab.Spec{}, authoritative...)
	r.configure("networks:\n- name: rack\n  subnet: 10.66.0.0/24\n  dhcp: authoritative\n  sole_authority: true\n  pools: [10.66.0.128-10.66.0.199]\n")
	r.otherHost("10.66.0.254/24")
	r.start()
	b := r.newBench()
	b.rival()
	b.check(map[string]fault{
		"never requested": {func(m *played) error {
			d, err := m.dhcp()
			if err != nil {
				return err
			}
			return d.discover(14, pxeUEFI)
		}, []string{`DHCP DISCOVER seen 14 times, offered, never requested: 10\.66\.0\.254 answers as well \(last .*\)`}},
		"chose the other": {func(m *played) error {
			d, err := m.dhcp()
			if err != nil {
				return err
			}
			if _, err := d.offered(pxeUEFI); err != nil {
				return err
			}
			p, err := d.packet(dhcpv4.MessageTypeRequest, pxeUEFI, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IPv4(10, 66, 0, 60))),
				dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 66, 0, 254))))
			if err != nil {
				return err
			}
			return d.send(p)
		}, []string{`DHCP DISCOVER seen (once|twice), offered, and it took the address of 10\.66\.0\.254 instead \(last .*\)`}},
	})
}

// TestWhyPaused: the same without the right to be the only one: new leases wait.
func TestWhyPaused(t *testing.T) {
	need(t)
	t.Parallel()
	r := newRack(t, lab.Spec{}, authoritative...)
	r.otherHost("10.66.0.254/24")
	r.start()
	b := r.newBench()
	b.rival()
	b.check(map[string]fault{"not answered": {func(m *played) error {
		d, err := m.dhcp()
		if err != nil {
			return err
		}
		return d.discover(4, pxeUEFI)
	}, []string{`DHCP DISCOVER seen four times, not answered: 10\.66\.0\.254 answers as well \(last .*\)`, `new leases are paused because of it`}}})
}

// TestWhyProxy: Ingot gives boot files, and nobody gives addresses.
func TestWhyProxy(t *testing.T) {
	need(t)
	t.Parallel()
	r := newRack(t, lab.Spec{}, "--dhcp", "proxy")
	r.start()
	b := r.newBench()
	discover := func(mods ...dhcpv4.Modifier) func(m *played) error {
		return func(m *played) error {
			d, err := m.dhcp()
			if err != nil {
				return err
			}
			return d.discover(4, mods...)
		}
	}
	b.check(map[string]fault{
		"no addresses": {discover(pxeUEFI),
			[]string{`DHCP DISCOVER seen four times \(last .*\): Ingot is proxy on network rack and gives no addresses, and no other DHCP server was heard there`}},
		"32-bit ARM": {discover(pxe("PXEClient", iana.EFI_ARM32)),
			[]string{`DHCP DISCOVER seen four times, not answered, architecture 10: no boot files for 32-bit ARM UEFI clients \(last .*\)`}},
	})
}

// rival waits until the server has noticed the other one.
func (b *bench) rival() {
	b.r.t.Helper()
	b.r.eventually("the other server is noticed", 20*time.Second, func(context.Context) error {
		for _, e := range b.r.events("") {
			if e.Kind == inventory.EventOtherDHCP {
				return nil
			}
		}
		return errNotYet("no event")
	})
}
