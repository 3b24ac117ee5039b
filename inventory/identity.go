package inventory

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Identity is what a machine is known by. UUID and Serial come from SMBIOS; bogus
// values are dropped by Trusted before they get here.
type Identity struct {
	UUID   string `json:"uuid,omitempty"`
	Serial string `json:"serial,omitempty"`
	MACs   []MAC  `json:"macs,omitempty"`
}

// Values that firmware vendors ship in place of a UUID or serial; seen on many boards
// at once, so they identify none of them.
var bogusUUIDs = []string{
	"00000000-0000-0000-0000-000000000000",
	"ffffffff-ffff-ffff-ffff-ffffffffffff",
	"03000200-0400-0500-0006-000700080009",
	"00020003-0004-0005-0006-000700080009",
	"12345678-1234-5678-90ab-cddeefaabbcc",
	"4c4c4544-0000-2010-8020-80c04f202020",
	"fefefefe-fefe-fefe-fefe-fefefefefefe",
}

var bogusSerials = []string{
	"", "0", "00000000", "0123456789", "123456789", "1234567890", "default string", "default",
	"none", "n/a", "na", "not specified", "not applicable", "not available", "system serial number",
	"to be filled by o.e.m.", "to be filled by oem", "o.e.m.", "oem", "empty", "unknown", "invalid",
	"chassis serial number", "base board serial number", "serial", "xxxxxxxxxx", ".", "-",
}

// Trusted returns id with what identifies nothing removed: bogus UUIDs and serials (also
// those of one digit alone), UUIDs and MACs that aren't written as one, duplicate MACs.
// UUIDs are lower case, MACs canonical.
func (id Identity) Trusted() Identity {
	out := Identity{UUID: strings.ToLower(strings.TrimSpace(id.UUID)), Serial: strings.TrimSpace(id.Serial)}
	if !plausibleUUID(out.UUID) {
		out.UUID = ""
	}
	if slices.Contains(bogusSerials, strings.ToLower(out.Serial)) || allSame(out.Serial) {
		out.Serial = ""
	}
	for _, text := range id.MACs {
		if mac, err := ParseMAC(string(text)); err == nil && !slices.Contains(out.MACs, mac) {
			out.MACs = append(out.MACs, mac)
		}
	}
	return out
}

// uuidForm is RFC 4122 text in lower case.
var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func plausibleUUID(s string) bool {
	return uuidForm.MatchString(s) && !slices.Contains(bogusUUIDs, s) && !allSame(strings.ReplaceAll(s, "-", ""))
}

func allSame(s string) bool {
	return s != "" && strings.Count(s, s[:1]) == len(s)
}

// Empty reports whether nothing identifies.
func (id Identity) Empty() bool { return id.UUID == "" && id.Serial == "" && len(id.MACs) == 0 }

// Contradicts reports the first contradiction between two identities: both have a
// UUID (or a serial) and they differ. Empty means they can be the same machine.
func (id Identity) Contradicts(other Identity) string {
	if id.UUID != "" && other.UUID != "" && id.UUID != other.UUID {
		return fmt.Sprintf("UUID %s against %s", id.UUID, other.UUID)
	}
	if id.UUID == "" || other.UUID == "" {
		if id.Serial != "" && other.Serial != "" && id.Serial != other.Serial {
			return fmt.Sprintf("serial %q against %q", id.Serial, other.Serial)
		}
	}
	return ""
}

// Match finds the machine that seen belongs to, among those that share a UUID, serial
// or MAC with it. The order is UUID, then serial, then any MAC; none is (nil, nil).
//
// A MAC alone never overrides a contradicting UUID or serial, and an identity that
// fits two machines fits none: both are ErrConflict, with the names in the text.
func Match(seen Identity, candidates []*Machine) (*Machine, error) {
	seen = seen.Trusted()
	byUUID := matching(candidates, func(id Identity) bool { return seen.UUID != "" && id.UUID == seen.UUID })
	bySerial := matching(candidates, func(id Identity) bool {
		return seen.Serial != "" && id.Serial == seen.Serial && (id.UUID == "" || seen.UUID == "" || id.UUID == seen.UUID)
	})
	byMAC := matching(candidates, func(id Identity) bool { return sharesMAC(seen, id) })
	for _, found := range [][]*Machine{byUUID, bySerial} {
		if len(found) > 1 {
			return nil, Conflict("identity fits %s", names(found))
		}
		if len(found) == 1 {
			return found[0], strangers(seen, found[0], byMAC)
		}
	}
	if len(byMAC) > 1 {
		return nil, Conflict("MACs %v belong to %s", seen.MACs, names(byMAC))
	}
	if len(byMAC) == 0 {
		return nil, nil
	}
	if c := seen.Contradicts(byMAC[0].Identity); c != "" {
		return nil, Conflict("MAC belongs to machine %s, but %s", byMAC[0].Name, c)
	}
	return byMAC[0], nil
}

// strangers reports MACs of the machine found that inventory gave to another machine.
func strangers(seen Identity, found *Machine, byMAC []*Machine) error {
	for _, other := range byMAC {
		if other.ID != found.ID {
			return Conflict("machine %s shows a MAC of machine %s", found.Name, other.Name)
		}
	}
	return nil
}

func matching(ms []*Machine, fits func(Identity) bool) []*Machine {
	var out []*Machine
	for _, m := range ms {
		if fits(m.Identity) {
			out = append(out, m)
		}
	}
	return out
}

func sharesMAC(a, b Identity) bool {
	return slices.ContainsFunc(a.MACs, func(m MAC) bool { return slices.Contains(b.MACs, m) })
}

func names(ms []*Machine) string {
	var out []string
	for _, m := range ms {
		out = append(out, m.Name)
	}
	return strings.Join(out, " and ")
}

// Absorb adds what seen knows and id doesn't: a machine keeps its identity when a NIC
// is changed, and learns the new MAC. It reports whether anything was added.
func (id *Identity) Absorb(seen Identity) bool {
	seen = seen.Trusted()
	changed := false
	if id.UUID == "" && seen.UUID != "" {
		id.UUID, changed = seen.UUID, true
	}
	if id.Serial == "" && seen.Serial != "" {
		id.Serial, changed = seen.Serial, true
	}
	for _, mac := range seen.MACs {
		if !slices.Contains(id.MACs, mac) {
			id.MACs, changed = append(id.MACs, mac), true
		}
	}
	return changed
}
