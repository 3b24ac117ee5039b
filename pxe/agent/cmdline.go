package agent

import (
	"strings"

	"ingot/inventory"
)

// Params is what the boot loader passed on the kernel's command line.
type Params struct {
	// HTTP is the machine listener's base URL, API the agent API's.
	HTTP, API string
	// Pin is the TLS key that the API must show.
	Pin string
	// MAC is the NIC that the machine booted from, empty from media.
	MAC inventory.MAC
	// Break stops the agent at a named point; for fault tests.
	Break string
}

// ParseParams reads /proc/cmdline's text. BOOTIF (pxelinux's convention, 01-MAC) is
// taken when there is no ingot.mac. Missing server keys are ErrInvalid and name the key.
func ParseParams(cmdline string) (Params, error) {
	var p Params
	for _, word := range strings.Fields(cmdline) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "ingot.http":
			p.HTTP = strings.TrimSuffix(value, "/")
		case "ingot.api":
			p.API = strings.TrimSuffix(value, "/")
		case "ingot.pin":
			p.Pin = value
		case "ingot.break":
			p.Break = value
		case "ingot.mac", "BOOTIF":
			mac, err := inventory.ParseMAC(strings.TrimPrefix(value, "01-"))
			if err == nil && (p.MAC == "" || key == "ingot.mac") {
				p.MAC = mac
			}
		}
	}
	for key, value := range map[string]string{"ingot.http": p.HTTP, "ingot.api": p.API, "ingot.pin": p.Pin} {
		if value == "" {
			return p, inventory.Invalid("kernel command line has no %s", key)
		}
	}
	return p, nil
}
