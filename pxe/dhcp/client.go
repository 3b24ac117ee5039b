package dhcp

import (
	"context"
	"net/netip"

	"ingot/inventory"
)

// Client is one that asks to boot from the network, as its packet describes it.
type Client struct {
	MAC inventory.MAC
	// UUID is option 97 in the form that dmidecode prints; empty when not sent.
	UUID string
	Arch Arch
	// ArchKnown is false when the client named no architecture at all (neither in
	// option 93 nor in its class); Arch is then 0.
	ArchKnown bool
	// Class is option 60, UserClass option 77.
	Class     string
	UserClass string
	// IsIPXE: iPXE runs already (user class iPXE, or option 175); it must be given a
	// script, never iPXE again.
	IsIPXE bool
	// IsHTTP: UEFI HTTP boot, which wants a URL.
	IsHTTP bool
	// Network is the inventory name of the network the client is on.
	Network string
	// Relay is the giaddr, zero when the client is on the link.
	Relay netip.Addr
	// IP is the address the client has or is being given; zero in proxy mode before
	// it has one.
	IP netip.Addr
	// Server is Ingot's own address as the client can reach it: for URLs.
	Server netip.Addr
	// Via is the name of the interface.
	Via string
	// Proxy: another server gives the address.
	Proxy bool
	// Port4011: asked on the PXE boot server port, after the first answer.
	Port4011 bool
	// Discover: a DISCOVER; otherwise a REQUEST or INFORM of a boot already going on.
	Discover bool
}

// Offer is what to boot. The zero Offer is "nothing, no reason given".
type Offer struct {
	// File is a name for TFTP at Server (next-server; zero means Client.Server).
	File   string
	Server netip.Addr
	// URL wins over File for iPXE and HTTP clients, which read nothing else.
	URL string
	// RootPath is option 17.
	RootPath string
	// Silence is why there is nothing to boot: in proxy mode no answer is sent, in
	// authoritative mode an address without a boot file.
	Silence string
}

// Booter says what a client boots. It is asked while the client waits: from memory.
type Booter interface {
	Boot(ctx context.Context, c Client) Offer
}

// Machines knows which MACs belong to machines of the inventory: they are answered on
// an authoritative network whatever they ask for, and first in a flood. It is asked for
// every packet: from memory.
type Machines interface {
	Known(mac inventory.MAC) bool
}

// Leases keeps what this package writes of the one address table: leased and
// quarantined addresses. Nobody else writes those.
type Leases interface {
	// Addresses returns all rows; called once, before the first answer.
	Addresses(ctx context.Context) ([]inventory.Address, error)
	// Commit makes all rows durable, or none and returns an error. An address that
	// is held by somebody else is inventory.ErrConflict. The same MAC with another
	// client identifier, or the same client identifier with another MAC, is the same
	// holder.
	Commit(ctx context.Context, rows []inventory.Address) error
}

// Observer is told of every packet worth remembering. It must not block; it coalesces.
type Observer interface {
	Saw(s inventory.Sighting)
}

// Announcer is told of what belongs into the event log for ever: another server, a
// pool without a free address, a declined address. It must not block.
type Announcer interface {
	Announce(p inventory.Payload)
}
