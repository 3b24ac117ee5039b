package agent

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"ingot/inventory"
)

// Params is what the boot loader passed on the kernel's command line.
type Params struct {
	// HTTP is the machine listener's base URL, API the agent API's.
	HTTP, API string
	// Pin is the TLS key that the API must show, SHA-256 in hex.
	Pin string
	// MAC is the NIC that the machine booted from, empty from media.
	MAC inventory.MAC
	// Set is the set of boot files that the kernel and the first stage are from; empty is
	// the server's current one.
	Set string
	// Break makes the agent go wrong once its session is open; empty in every real boot.
	Break Break
}

// Break is a way to go wrong, for fault tests: the server's kernel_args set it.
type Break string

// The ways to go wrong.
const (
	BreakPanic Break = "panic"
	BreakHang  Break = "hang"
	BreakExit  Break = "exit"
)

// ParseParams reads /proc/cmdline's text; of a key that stands there twice the last one
// counts, as in the kernel. BOOTIF (pxelinux's convention, 01-MAC) is taken when there is
// no ingot.mac. A key that is missing or wrong is ErrInvalid and named.
func ParseParams(cmdline string) (Params, error) {
	values := map[string]string{}
	for _, word := range strings.Fields(cmdline) {
		key, value, _ := strings.Cut(strings.Trim(word, `"`), "=")
		values[key] = value
	}
	p := Params{HTTP: strings.TrimSuffix(values["ingot.http"], "/"), API: strings.TrimSuffix(values["ingot.api"], "/"),
		Pin: values["ingot.pin"], Set: values["ingot.set"], Break: Break(values["ingot.break"])}
	for _, k := range []struct{ key, value, scheme string }{{"ingot.http", p.HTTP, "http"}, {"ingot.api", p.API, "https"}} {
		if err := checkURL(k.key, k.value, k.scheme); err != nil {
			return p, err
		}
	}
	if len(p.Pin) != 64 || strings.Trim(p.Pin, "0123456789abcdef") != "" {
		return p, inventory.Invalid("kernel command line: ingot.pin=%q (want 64 hex digits)", p.Pin)
	}
	if !slices.Contains([]Break{"", BreakPanic, BreakHang, BreakExit}, p.Break) {
		return p, inventory.Invalid("kernel command line: ingot.break=%q (want panic, hang or exit)", p.Break)
	}
	if strings.Trim(p.Set, "0123456789abcdef") != "" {
		return p, inventory.Invalid("kernel command line: ingot.set=%q (want hex digits)", p.Set)
	}
	return p, p.setMAC(values)
}

func (p *Params) setMAC(values map[string]string) error {
	key, value := "ingot.mac", values["ingot.mac"]
	if value == "" {
		key, value = "BOOTIF", strings.TrimPrefix(values["BOOTIF"], "01-")
	}
	if value == "" {
		return nil
	}
	mac, err := inventory.ParseMAC(value)
	if err != nil {
		return inventory.Invalid("kernel command line: %s=%q (want a MAC address)", key, value)
	}
	p.MAC = mac
	return nil
}

// checkURL wants scheme://address:port: the agent has no resolver before it has a lease,
// and needs none after.
func checkURL(key, value, scheme string) error {
	u, err := url.Parse(value)
	if err == nil && u.Scheme == scheme && u.Path == "" && u.RawQuery == "" && u.User == nil {
		_, err = netip.ParseAddrPort(u.Host)
		if err == nil {
			return nil
		}
	}
	return inventory.Invalid("kernel command line: %s=%q (want %s://ADDRESS:PORT)", key, value, scheme)
}
