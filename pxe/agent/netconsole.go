package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/vishvananda/netlink"
)

const netconsoleDir = "/sys/kernel/config/netconsole/ingot"

// startNetconsole makes the kernel send its messages to the server by UDP, so that a
// panic is seen there. The kernel wants the next hop's MAC (Documentation/networking/
// netconsole): the neighbour table has it, since we have just talked to the server.
func startNetconsole(l *lease, server netip.Addr, port int) error {
	if err := os.Mkdir(netconsoleDir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("set up netconsole: %w", err)
	}
	hop := server
	if !l.address.Contains(server) {
		hop = l.gateway
	}
	mac, err := neighbour(l.iface, hop)
	if err != nil {
		return fmt.Errorf("set up netconsole: %w", err)
	}
	if err := stopNetconsole(); err != nil {
		return fmt.Errorf("set up netconsole: %w", err)
	}
	for _, kv := range [][2]string{
		{"dev_name", l.iface}, {"local_ip", l.address.Addr().String()}, {"remote_ip", server.String()},
		{"remote_port", strconv.Itoa(port)}, {"remote_mac", mac.String()}, {"enabled", "1"},
	} {
		if err := os.WriteFile(filepath.Join(netconsoleDir, kv[0]), []byte(kv[1]), 0o644); err != nil {
			return fmt.Errorf("set up netconsole: %w", err)
		}
	}
	return nil
}

// stopNetconsole switches the target off: it can't be changed while it is on.
func stopNetconsole() error {
	enabled := filepath.Join(netconsoleDir, "enabled")
	state, err := os.ReadFile(enabled)
	if err != nil || len(state) == 0 || state[0] != '1' {
		return err
	}
	return os.WriteFile(enabled, []byte("0"), 0o644)
}

func neighbour(iface string, ip netip.Addr) (net.HardwareAddr, error) {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return nil, err
	}
	list, err := netlink.NeighList(link.Attrs().Index, netlink.FAMILY_V4)
	if err != nil {
		return nil, err
	}
	for _, n := range list {
		if a, ok := netip.AddrFromSlice(n.IP.To4()); ok && a == ip && len(n.HardwareAddr) == 6 {
			return n.HardwareAddr, nil
		}
	}
	return nil, fmt.Errorf("no neighbour entry for %s", ip)
}

// netconsole makes the kernel's messages go to the server.
func (a *Agent) netconsole(l *lease, port int) {
	u, err := url.Parse(a.params.API)
	if err != nil || port == 0 {
		return
	}
	server, err := netip.ParseAddr(u.Hostname())
	if err == nil {
		err = startNetconsole(l, server, port)
	}
	if err != nil {
		a.log.Warn("netconsole", "err", err)
	}
}
