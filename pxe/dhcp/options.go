package dhcp

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

// Options without a name in the packet library.
const (
	optionMTU = dhcpv4.GenericOptionCode(26)
	optionNTP = dhcpv4.GenericOptionCode(42)
)

// DefaultLeaseTime is used for networks that name none.
const DefaultLeaseTime = time.Hour

// optional are the options a client gets only when its parameter request list names
// them; the order is the one in which they are dropped, last first, when the client's
// maximum message size (option 57) leaves no room.
var optional = []dhcpv4.OptionCode{
	dhcpv4.OptionDomainNameServer, dhcpv4.OptionHostName, dhcpv4.OptionDomainName,
	dhcpv4.OptionClasslessStaticRoute, optionNTP, dhcpv4.OptionBroadcastAddress, optionMTU,
}

// addNetwork writes what the network tells its clients. lease is zero for INFORM,
// which gives no times (RFC 2131 section 4.3.5).
func addNetwork(reply *dhcpv4.DHCPv4, r *request, n *inventory.Network, name string, lease time.Duration) {
	opts := reply.Options
	mask := uint32(0xffffffff) << (32 - n.Subnet.Bits())
	opts[dhcpv4.OptionSubnetMask.Code()] = seconds32(mask)
	if n.Gateway.IsValid() {
		opts[dhcpv4.OptionRouter.Code()] = n.Gateway.AsSlice()
	}
	if lease > 0 {
		s := uint32(lease / time.Second)
		opts[dhcpv4.OptionIPAddressLeaseTime.Code()] = seconds32(s)
		opts[dhcpv4.OptionRenewTimeValue.Code()] = seconds32(s / 2)
		opts[dhcpv4.OptionRebindingTimeValue.Code()] = seconds32(uint32(uint64(s) * 7 / 8))
	}
	for _, code := range r.msg.Options.Get(dhcpv4.OptionParameterRequestList) {
		if value := networkOption(code, r, n, name); value != nil {
			opts[code] = value
		}
	}
}

// networkOption is the value of an option that is sent when asked for, nil for none.
func networkOption(code byte, r *request, n *inventory.Network, name string) []byte {
	switch code {
	case dhcpv4.OptionDomainNameServer.Code():
		return addrs(n.DNS)
	case optionNTP.Code():
		return addrs(n.NTP)
	case dhcpv4.OptionHostName.Code():
		return text(name)
	case dhcpv4.OptionDomainName.Code():
		return text(n.Domain)
	case dhcpv4.OptionBroadcastAddress.Code():
		return broadcast(n.Subnet).AsSlice()
	case dhcpv4.OptionClasslessStaticRoute.Code():
		return routes(n)
	case optionMTU.Code():
		// Known only for the link itself; a relayed client's link may be narrower.
		if !r.giaddr.IsValid() && r.from.link.MTU >= 68 {
			return binary.BigEndian.AppendUint16(nil, uint16(min(r.from.link.MTU, 65535)))
		}
	}
	return nil
}

func addrs(ips []netip.Addr) []byte {
	var out []byte
	for _, ip := range ips {
		if ip.Is4() {
			out = append(out, ip.AsSlice()...)
		}
	}
	return out
}

func text(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// routes encodes option 121. A client that reads it ignores the router option, so the
// default route is repeated in it (RFC 3442).
func routes(n *inventory.Network) []byte {
	if len(n.Routes) == 0 {
		return nil
	}
	var out []byte
	hasDefault := false
	for _, route := range n.Routes {
		out = appendRoute(out, route)
		hasDefault = hasDefault || route.To.Bits() == 0
	}
	if n.Gateway.IsValid() && !hasDefault {
		out = appendRoute(out, inventory.Route{To: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Via: n.Gateway})
	}
	return out
}

func appendRoute(out []byte, r inventory.Route) []byte {
	bits := r.To.Bits()
	out = append(out, byte(bits))
	out = append(out, r.To.Masked().Addr().AsSlice()[:(bits+7)/8]...)
	return append(out, r.Via.AsSlice()...)
}

// broadcast is the last address of a prefix.
func broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	host := uint32(1)<<(32-p.Bits()) - 1
	return fromUint32(binary.BigEndian.Uint32(b[:]) | host)
}

func toUint32(ip netip.Addr) uint32 {
	b := ip.As4()
	return binary.BigEndian.Uint32(b[:])
}

func fromUint32(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

// fitMessage drops optional options until the reply fits the client's maximum message
// size: IP and UDP header included, 576 bytes when option 57 says nothing (RFC 2131
// section 2). The packet is the request's, until that is released.
func fitMessage(reply *dhcpv4.DHCPv4, r *request) []byte {
	limit := 576
	if size := r.msg.Options.Get(dhcpv4.OptionMaximumDHCPMessageSize); len(size) == 2 {
		limit = max(limit, int(binary.BigEndian.Uint16(size)))
	}
	r.packet = appendMessage(r.packet[:0], reply)
	for i := len(optional) - 1; i >= 0 && len(r.packet)+28 > limit; i-- {
		if reply.Options.Has(optional[i]) {
			reply.Options.Del(optional[i])
			r.packet = appendMessage(r.packet[:0], reply)
		}
	}
	return r.packet
}
