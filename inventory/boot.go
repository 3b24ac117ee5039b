package inventory

import "time"

// BootChain is the first file a network-booting client is given and what follows.
type BootChain string

// The chains. The empty chain means "choose by what is known of the machine".
const (
	ChainAuto BootChain = ""
	// ChainShim: signed shim, signed GRUB, signed kernel; by TFTP.
	ChainShim BootChain = "shim"
	// ChainSNP: snponly.efi, iPXE over the firmware's own network driver.
	ChainSNP BootChain = "snponly"
	// ChainIPXE: ipxe.efi, iPXE with drivers of its own.
	ChainIPXE BootChain = "ipxe"
	// ChainUndionly: undionly.kpxe, iPXE over the BIOS NIC's UNDI.
	ChainUndionly BootChain = "undionly"
	// ChainNone: nothing is offered.
	ChainNone BootChain = "none"
)

// BootAnswer is what a machine that asks the network is told to do.
type BootAnswer string

// The answers.
const (
	BootAgent BootAnswer = "agent"
	BootDisk  BootAnswer = "disk"
	BootNone  BootAnswer = "none"
)

// SightingKind is what was seen of a client on the wire.
type SightingKind string

// The kinds of sighting.
const (
	SawDiscover      SightingKind = "dhcp-discover"
	SawOffer         SightingKind = "dhcp-offer"
	SawRequest       SightingKind = "dhcp-request"
	SawAck           SightingKind = "dhcp-ack"
	SawNak           SightingKind = "dhcp-nak"
	SawDecline       SightingKind = "dhcp-decline"
	SawInform        SightingKind = "dhcp-inform"
	SawRelease       SightingKind = "dhcp-release"
	SawOtherServer   SightingKind = "dhcp-other-server"
	SawChoseOther    SightingKind = "dhcp-chose-other-server"
	SawExhausted     SightingKind = "dhcp-pool-exhausted"
	SawIgnored       SightingKind = "dhcp-ignored"
	SawUnknownArch   SightingKind = "dhcp-unknown-architecture"
	SawProxyRequest  SightingKind = "pxe-4011-request"
	SawFileDone      SightingKind = "file-done"
	SawFileStopped   SightingKind = "file-stopped"
	SawFileNotFound  SightingKind = "file-not-found"
	SawFileProbe     SightingKind = "file-size-probe"
	SawScript        SightingKind = "boot-script"
	SawAgentHello    SightingKind = "agent-hello"
	SawAgentRefused  SightingKind = "agent-refused"
	SawChainRejected SightingKind = "chain-rejected"
)

// Sighting counts equal observations of one client: key is (MAC, Kind, Detail). It is
// coalesced and bounded, so a flood is one row.
type Sighting struct {
	MAC  MAC          `json:"mac"`
	Kind SightingKind `json:"kind"`
	// Detail is what makes it this sighting: a file name, another server's address,
	// the reason for silence.
	Detail string    `json:"detail,omitempty"`
	Count  int64     `json:"count"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
	// Values of the last observation.
	Values SightingValues `json:"values"`
}

// SightingValues are the particulars of the last observation; zero where they don't
// apply.
type SightingValues struct {
	Network string `json:"network,omitempty"`
	// Protocol is tftp, http or https for files.
	Protocol string `json:"protocol,omitempty"`
	// Block is the TFTP block, Bytes and TotalBytes what went out.
	Block      int64  `json:"block,omitempty"`
	Bytes      int64  `json:"bytes,omitempty"`
	TotalBytes int64  `json:"totalBytes,omitempty"`
	IP         string `json:"ip,omitempty"`
	// Arch is option 93, Class option 60, Relay the giaddr.
	Arch  *int   `json:"arch,omitempty"`
	Class string `json:"class,omitempty"`
	Relay string `json:"relay,omitempty"`
	// Answer is what was told in a boot script.
	Answer BootAnswer `json:"answer,omitempty"`
	Chain  BootChain  `json:"chain,omitempty"`
	Error  string     `json:"error,omitempty"`
	// Streak is how often in a row: of a DISCOVER, since the client last got further; of
	// a file that stopped, since it last went out whole. Zero for other kinds.
	Streak      int64     `json:"streak,omitempty"`
	StreakSince time.Time `json:"streakSince,omitzero"`
	// SameBlock is how many of the streak, up to the last, stopped at Block.
	SameBlock int64 `json:"sameBlock,omitempty"`
}
