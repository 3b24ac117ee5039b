package inventory

import (
	"fmt"
	"net/netip"
)

// OtherDHCP: another DHCP server answers on a network.
type OtherDHCP struct {
	Network string     `json:"network"`
	Server  netip.Addr `json:"server"`
	// Paused is set when Ingot stopped giving new leases because of it.
	Paused bool `json:"paused,omitempty"`
}

// Kind implements Payload.
func (OtherDHCP) Kind() EventKind { return EventOtherDHCP }
func (p OtherDHCP) String() string {
	if p.Paused {
		return fmt.Sprintf("DHCP server %s answers on %s as well: new leases are paused", p.Server, p.Network)
	}
	return fmt.Sprintf("DHCP server %s answers on %s as well", p.Server, p.Network)
}

// PoolExhausted: no free address was left.
type PoolExhausted struct {
	Network string `json:"network"`
	Size    int    `json:"size"`
}

// Kind implements Payload.
func (PoolExhausted) Kind() EventKind { return EventExhausted }
func (p PoolExhausted) String() string {
	return fmt.Sprintf("network %s has no free address: all %d are taken", p.Network, p.Size)
}

// AddressDeclined: a client found its address in use; it is quarantined.
type AddressDeclined struct {
	IP  netip.Addr `json:"ip"`
	MAC MAC        `json:"mac"`
}

// Kind implements Payload.
func (AddressDeclined) Kind() EventKind { return EventDeclined }
func (p AddressDeclined) String() string {
	return fmt.Sprintf("%s declined %s (in use by someone else): quarantined", p.MAC, p.IP)
}

// DHCPModeChanged: what Ingot does on a network, and why.
type DHCPModeChanged struct {
	Network string   `json:"network"`
	Mode    DHCPMode `json:"mode"`
	Why     string   `json:"why"`
}

// Kind implements Payload.
func (DHCPModeChanged) Kind() EventKind { return EventDHCPMode }
func (p DHCPModeChanged) String() string {
	return fmt.Sprintf("DHCP on %s is %s: %s", p.Network, p.Mode, p.Why)
}

// ImageAdded: a version came into the store.
type ImageAdded struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

// Kind implements Payload.
func (ImageAdded) Kind() EventKind  { return EventImage }
func (p ImageAdded) String() string { return fmt.Sprintf("image %s@%s added", p.Name, p.Digest) }

// ServerStarted: ingot serve came up. Restored is set when the database is older than
// what this data directory has seen.
type ServerStarted struct {
	Version  string `json:"version"`
	Restored bool   `json:"restored,omitempty"`
}

// Kind implements Payload.
func (ServerStarted) Kind() EventKind { return EventServer }
func (p ServerStarted) String() string {
	if p.Restored {
		return "server started on a restored database: all machines are on hold"
	}
	return "server started"
}
