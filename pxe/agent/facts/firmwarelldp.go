package facts

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// The private flags of drivers whose NICs run an LLDP agent in firmware, which keeps the
// frames from the host (linux: Documentation/networking/device_drivers/ethernet/intel/
// i40e.rst and ice.rst). Ingot leaves them as they are: they are kept in the NIC, and the
// agent may serve data centre bridging.
var firmwareLLDP = map[string]struct {
	flag string
	when bool // the flag's value with which the host hears nothing
}{"i40e": {"disable-fw-lldp", false}, "ice": {"fw-lldp-agent", true}}

const (
	maxPrivateFlags   = 32 // they are one 32-bit word
	flagNameBytes     = 32 // ETH_GSTRING_LEN
	privateFlagString = 2  // ETH_SS_PRIV_FLAGS
	flagNamesBytes    = 12 + maxPrivateFlags*flagNameBytes
)

// hearsNoLLDP reports whether a NIC's firmware takes the LLDP frames, and the flag with
// its value that says so.
func (r *reading) hearsNoLLDP(name, driver string) (string, bool) {
	quirk, ok := firmwareLLDP[driver]
	if !ok {
		return "", false
	}
	names, err := r.ask(name, "ethtool-flag-names", func() ([]byte, error) { return ethtool(name, unix.ETHTOOL_GSTRINGS, flagNamesBytes) })
	if err != nil {
		return "", false
	}
	flags, err := r.ask(name, "ethtool-flags", func() ([]byte, error) { return ethtool(name, unix.ETHTOOL_GPFLAGS, 8) })
	if err != nil {
		return "", false
	}
	on, known := privateFlag(names, flags, quirk.flag)
	state := "off"
	if on {
		state = "on"
	}
	return quirk.flag + " is " + state, known && on == quirk.when
}

// privateFlag finds a flag by its name: struct ethtool_gstrings (command, set, count,
// names of 32 bytes) and struct ethtool_value (command, bits).
func privateFlag(names, flags []byte, want string) (on, known bool) {
	if len(names) < 12 || len(flags) < 8 {
		return false, false
	}
	bits := binary.NativeEndian.Uint32(flags[4:])
	for i := range int(min(binary.NativeEndian.Uint32(names[8:]), maxPrivateFlags)) {
		at := 12 + i*flagNameBytes
		if at+flagNameBytes > len(names) {
			break
		}
		if clean(string(names[at:at+flagNameBytes])) == want {
			return bits&(1<<i) != 0, true
		}
	}
	return false, false
}
