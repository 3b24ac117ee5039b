package api

import (
	"time"

	"ingot/inventory"
)

// MachineDetail is a machine with its newest facts and the reason for its state.
type MachineDetail struct {
	inventory.Machine
	Facts *inventory.Facts `json:"facts,omitempty"`
}

// Deploy is the body of a deploy order.
type Deploy struct {
	Image    string `json:"image" doc:"image reference: NAME, NAME:CHANNEL or NAME@sha256:HEX"`
	Hostname string `json:"hostname,omitempty"`
	// Disk is a hint in its written form.
	Disk         string                    `json:"disk,omitempty" doc:"disk hint, for example size>=100G,rotational=no"`
	Overwrite    bool                      `json:"overwrite,omitempty"`
	Verify       bool                      `json:"verify,omitempty"`
	SSHKeys      []string                  `json:"sshKeys,omitempty"`
	UserData     string                    `json:"userData,omitempty"`
	Addresses    []inventory.StaticAddress `json:"addresses,omitempty"`
	NetworkFirst bool                      `json:"networkFirst,omitempty"`
}

// Action names what can be done to a machine without particulars.
type Action string

// The actions.
const (
	ActionApprove Action = "approve"
	ActionRelease Action = "release"
	ActionRetire  Action = "retire"
	ActionRevive  Action = "revive"
	ActionRescue  Action = "rescue"
	ActionReturn  Action = "return"
	ActionInspect Action = "inspect"
	ActionLock    Action = "lock"
	ActionUnlock  Action = "unlock"
	ActionResume  Action = "resume"
)

// Answer is what ingot why prints.
type Answer struct {
	Machine string `json:"machine"`
	// Sentences answer, the most important first; Known is false when the cause is not
	// known and the sentences are the last evidence.
	Sentences []string `json:"sentences"`
	Known     bool     `json:"known"`
	// Try says what to do next.
	Try []string `json:"try,omitempty"`
}

// ImageRow is an image with the channels that point at it.
type ImageRow struct {
	inventory.Image
	Channels []string `json:"channels,omitempty"`
}

// NetworkRow is a network as it is configured, and what Ingot does on it now: a flag, or
// what was found on the wire, may differ.
type NetworkRow struct {
	inventory.Network
	DHCPNow inventory.DHCPMode `json:"dhcpNow"`
}

// Version is who answers.
type Version struct {
	Version   string    `json:"version"`
	Inventory string    `json:"inventory"`
	Started   time.Time `json:"started"`
}

// Problem is an RFC 9457 problem document.
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title,omitempty"`
	Detail string `json:"detail,omitempty"`
}
