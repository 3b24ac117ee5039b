package lab

import (
	"errors"
	"fmt"
	"net"
	"regexp"
)

var (
	networkName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,10}$`)
	machineName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
)

// validate checks a specification whose defaults are filled in. What QEMU would
// refuse is found by checkMachine.
func (s Spec) validate() error {
	var errs []error
	if !machineName.MatchString(s.Name) {
		errs = append(errs, fmt.Errorf("rack name %q: use 1 to 40 lower-case letters, digits and hyphens", s.Name))
	}
	seen := map[string]bool{"lo": true, "uplink": true, sink: true}
	for _, n := range s.Networks {
		if !networkName.MatchString(n.Name) || seen[n.Name] {
			errs = append(errs, fmt.Errorf("network name %q: use 1 to 11 lower-case letters, digits and hyphens, each name once", n.Name))
		}
		seen[n.Name] = true
		errs = append(errs, s.validateAddress(n), s.validateRouter(n))
	}
	macs, names := map[string]string{}, map[string]bool{}
	for _, m := range s.Machines {
		if !machineName.MatchString(m.Name) || names[m.Name] {
			errs = append(errs, fmt.Errorf("machine name %q: use 1 to 40 lower-case letters, digits and hyphens, each name once", m.Name))
		}
		names[m.Name] = true
		errs = append(errs, s.validateMachine(m, macs))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("rack specification: %w", err)
	}
	return nil
}

func (s Spec) validateAddress(n Network) error {
	if n.Address.IsValid() && (!n.Address.Addr().Is4() || n.Address.Masked().Addr() == n.Address.Addr()) {
		return fmt.Errorf("network %q: address %v: want a host address with its IPv4 subnet, like 192.0.2.1/24", n.Name, n.Address)
	}
	return nil
}

func (s Spec) validateRouter(n Network) error {
	if n.Router == nil {
		return nil
	}
	up, ok := s.network(n.Router.Uplink)
	switch {
	case !n.Address.IsValid():
		return fmt.Errorf("network %q: a network behind a router needs the router's address in it", n.Name)
	case !ok || up.Router != nil || !up.Address.IsValid():
		return fmt.Errorf("network %q: uplink %q: want a network of this rack with an address and no router", n.Name, n.Router.Uplink)
	case !up.Address.Contains(n.Router.Address) || up.Address.Addr() == n.Router.Address:
		return fmt.Errorf("network %q: router address %v: want one in %v that is not taken", n.Name, n.Router.Address, up.Address.Masked())
	}
	return nil
}

// validateMachine also checks that no other machine has the same MAC address;
// macs holds those that were seen.
func (s Spec) validateMachine(m Machine, macs map[string]string) error {
	var errs []error
	for i, d := range m.Disks {
		if d.SizeBytes < 0 || d.SectorBytes <= 0 || d.SizeBytes%int64(d.SectorBytes) != 0 {
			errs = append(errs, fmt.Errorf("machine %q: disk %d: size of %d bytes is not a multiple of its sectors", m.Name, i, d.SizeBytes))
		}
	}
	for i, n := range m.NICs {
		network, ok := s.network(n.Network)
		if !ok {
			errs = append(errs, fmt.Errorf("machine %q: network card %d: no network %q in this rack", m.Name, i, n.Network))
		}
		if first, _ := s.network(m.NICs[0].Network); ok && s.namespaceOf(network) != s.namespaceOf(first) {
			errs = append(errs, fmt.Errorf("machine %q: networks %q and %q: a machine cannot stand on both sides of a router", m.Name, first.Name, n.Network))
		}
		mac, err := net.ParseMAC(n.MAC)
		if err != nil {
			errs = append(errs, fmt.Errorf("machine %q: network card %d: %w", m.Name, i, err))
			continue
		}
		if other, taken := macs[mac.String()]; taken {
			errs = append(errs, fmt.Errorf("machine %q: network card %d: mac %s belongs to machine %q", m.Name, i, mac, other))
		}
		macs[mac.String()] = m.Name
	}
	return errors.Join(errs...)
}
