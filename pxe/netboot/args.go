package netboot

import (
	"net/netip"

	"ingot/inventory"
)

// HTTPBase is the machine listener's URL at one of the server's addresses.
func (t *Table) HTTPBase(server netip.Addr) string {
	return "http://" + netip.AddrPortFrom(server, uint16(t.cfg.HTTPPort)).String()
}

// AgentArgs is the agent's part of the kernel command line for a client of server.
func (t *Table) AgentArgs(mac inventory.MAC, server netip.Addr) string {
	return t.agentArgs(mac, server, t.bootSet())
}

// bootSet is the set that a script names, so that a boot ends with the files it began with.
func (t *Table) bootSet() string {
	if t.cfg.BootSet == nil {
		return ""
	}
	return t.cfg.BootSet()
}

func (t *Table) agentArgs(mac inventory.MAC, server netip.Addr, set string) string {
	args := "ingot.http=" + t.HTTPBase(server) + " ingot.api=https://" +
		netip.AddrPortFrom(server, uint16(t.cfg.TLSPort)).String() + " ingot.pin=" + t.cfg.Pin + " ingot.mac=" + string(mac)
	if set != "" {
		args += " ingot.set=" + set
	}
	if t.cfg.KernelArgs != "" {
		args += " " + t.cfg.KernelArgs
	}
	return args
}
