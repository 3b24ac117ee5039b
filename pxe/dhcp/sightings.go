package dhcp

import (
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

// saw reports a sighting of the client.
func (s *Server) saw(r *request, kind inventory.SightingKind, detail string, v inventory.SightingValues) {
	s.sawAt(s.cfg.Now(), r, kind, detail, v)
}

func (s *Server) sawAt(at time.Time, r *request, kind inventory.SightingKind, detail string, v inventory.SightingValues) {
	if r.giaddr.IsValid() {
		v.Relay = r.giaddr.String()
	}
	if r.netboot {
		v.Class = r.boot.Class
		if r.boot.ArchKnown {
			arch := int(r.boot.Arch)
			v.Arch = &arch
		}
	}
	s.cfg.Observer.Saw(inventory.Sighting{MAC: r.mac, Kind: kind, Detail: detail, Count: 1, First: at, Last: at, Values: v})
}

var requestSightings = map[dhcpv4.MessageType]inventory.SightingKind{
	dhcpv4.MessageTypeDiscover: inventory.SawDiscover,
	dhcpv4.MessageTypeRequest:  inventory.SawRequest,
	dhcpv4.MessageTypeDecline:  inventory.SawDecline,
	dhcpv4.MessageTypeInform:   inventory.SawInform,
	dhcpv4.MessageTypeRelease:  inventory.SawRelease,
}

func (s *Server) sawRequest(r *request, network string) {
	kind, ok := requestSightings[r.kind]
	if !ok {
		return
	}
	if r.from.port4011 {
		kind = inventory.SawProxyRequest
	}
	v := inventory.SightingValues{Network: network}
	if ip := firstValid(r.wanted, r.ciaddr); ip.IsValid() {
		v.IP = ip.String()
	}
	s.saw(r, kind, "", v)
	if r.netboot && r.boot.Discover && (!r.boot.ArchKnown || !r.boot.Arch.Known()) {
		s.saw(r, inventory.SawUnknownArch, r.boot.Arch.String(), v)
		s.logOnce("arch "+r.boot.Arch.String()+r.boot.Class, "unknown client architecture or class",
			"mac", r.mac, "arch", int(r.boot.Arch), "class", r.boot.Class)
	}
}
