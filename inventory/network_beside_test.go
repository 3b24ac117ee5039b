package inventory

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestCheckBeside(t *testing.T) {
	have := []Network{{Name: "a", Subnet: netip.MustParsePrefix("192.0.2.0/25")}, {Name: "b", Subnet: netip.MustParsePrefix("198.51.100.0/24")}}
	for subnet, ok := range map[string]bool{"192.0.2.128/25": true, "192.0.2.0/24": false, "192.0.2.64/26": false, "203.0.113.0/24": true, "198.51.100.0/24": true} {
		n := Network{Name: "b", Subnet: netip.MustParsePrefix(subnet)}
		if err := n.CheckBeside(have, func(other string) string { return "remove " + other }); (err == nil) != ok || err != nil && (!errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "(remove a)")) {
			t.Errorf("%s: %v", subnet, err)
		}
	}
}
