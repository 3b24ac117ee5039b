package lab

import (
	"crypto/sha256"
	"fmt"
	"net"
	"strings"
)

// The names and numbers of a rack are derived, so that it can be taken down
// without knowing how far setting it up came, and so that a machine of a new rack
// is the same one to the inventory as before.

// digest is the same for the same words, and not for others.
func digest(words ...string) [sha256.Size]byte {
	return sha256.Sum256([]byte(strings.Join(words, "\x00")))
}

// derivedMAC is in QEMU's own range, 52:54:00.
func derivedMAC(rack, machine string, nic int) string {
	d := digest("mac", rack, machine, fmt.Sprint(nic))
	return net.HardwareAddr{0x52, 0x54, 0x00, d[0], d[1], d[2]}.String()
}

// derivedUUID has the form of RFC 9562, version 8.
func derivedUUID(rack, machine string) string {
	d := digest("uuid", rack, machine)
	d[6], d[8] = d[6]&0x0f|0x80, d[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", d[0:4], d[4:6], d[6:8], d[8:10], d[10:16])
}

// derivedSerial has 20 characters at most, which is what virtio and ATA disks hold.
func derivedSerial(machine string, disk int) string {
	d := digest("serial", machine)
	return fmt.Sprintf("LAB%X-%d", d[:5], disk)
}

// namespace is the network namespace of the rack.
func (s Spec) namespace() string { return "ingot-" + s.Name }

// namespaceOf is the namespace in which the network's bridge is.
func (s Spec) namespaceOf(n Network) string {
	if n.Router == nil {
		return s.namespace()
	}
	return s.namespace() + "-" + n.Name
}

// namespaces are all of the rack, its own one first.
func (s Spec) namespaces() []string {
	names := []string{s.namespace()}
	for _, n := range s.Networks {
		if n.Router != nil {
			names = append(names, s.namespaceOf(n))
		}
	}
	return names
}

func (s Spec) network(name string) (Network, bool) {
	for _, n := range s.Networks {
		if n.Name == name {
			return n, true
		}
	}
	return Network{}, false
}

// machine returns the machine and its number in the rack.
func (s Spec) machine(name string) (Machine, int, error) {
	var known []string
	for i, m := range s.Machines {
		if m.Name == name {
			return m, i, nil
		}
		known = append(known, m.Name)
	}
	return Machine{}, 0, fmt.Errorf("rack %q has no machine %q, only %s", s.Name, name, strings.Join(known, ", "))
}

// tapName is the network device behind a card.
func tapName(machine, nic int) string { return fmt.Sprintf("tap%d-%d", machine, nic) }
