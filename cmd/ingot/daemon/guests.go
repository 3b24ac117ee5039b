package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"ingot/hypervisor"
	"ingot/inventory"
)

// guests are where VMs phone home to: a port on each interface where some host's guests
// reach this computer, opened when the first VM there is made.
type guests struct {
	*doors
	advertised int
	// given is the configured URL, for networks where this computer can't tell.
	given string
}

func newGuests(m Machine, interfaces []string, h http.Handler, log *slog.Logger) *guests {
	open := func(iface string) bool { // by the machine listener
		return slices.Contains(interfaces, iface) || len(interfaces) == 0 && iface == loopback
	}
	return &guests{doors: newDoors(m.HTTPPort, h, open, log), advertised: m.advertised(), given: m.URL}
}

// base is the URL under which guests on a host's network reach this computer.
func (g *guests) base(ctx context.Context, h inventory.Host, network string, driver hypervisor.Driver) (string, error) {
	if g.given != "" {
		return g.given, nil
	}
	var addr netip.Addr
	if r, ok := driver.(hypervisor.Reacher); ok {
		var err error
		if addr, err = r.Reach(ctx, network); err != nil {
			return "", err
		}
	}
	if !addr.IsValid() {
		var err error
		if addr, err = towards(ctx, h); err != nil {
			return "", err
		}
	}
	if err := g.listen(ctx, addr); err != nil {
		return "", err
	}
	return "http://" + netip.AddrPortFrom(addr, uint16(g.advertised)).String(), nil
}

// towards is this computer's address on the way to a far host; the guests' network is
// taken to know the same way back.
func towards(ctx context.Context, h inventory.Host) (netip.Addr, error) {
	u, err := url.Parse(h.URL)
	if err != nil || u.Hostname() == "" {
		return netip.Addr{}, fmt.Errorf("under which address does host %s, or do its guests, reach this computer? set machine.url: %w", h.Name, inventory.ErrInvalid)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "udp4", net.JoinHostPort(u.Hostname(), "9")) // sends nothing
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find the way to host %s: %w", h.Name, err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}
