package agentapi

import (
	"time"

	"ingot/inventory"
)

// Hello is the agent's first request.
type Hello struct {
	// Boot is a random name that the agent makes once per boot.
	Boot     string             `json:"boot"`
	Identity inventory.Identity `json:"identity"`
	// BootMAC is the NIC that the boot loader used, when it said so.
	BootMAC    inventory.MAC             `json:"bootMac,omitempty"`
	Firmware   inventory.FirmwareMode    `json:"firmware,omitempty"`
	SecureBoot inventory.SecureBootState `json:"secureBoot,omitempty"`
	Kernel     string                    `json:"kernel,omitempty"`
	Version    string                    `json:"version,omitempty"`
	// BootSet is the set of boot files that it booted from, when the loader said so.
	BootSet string `json:"bootSet,omitempty"`
}

// Welcome answers a Hello.
type Welcome struct {
	Token   string `json:"token"`
	Machine string `json:"machine"`
	Name    string `json:"name"`
	// Time is the server's clock; new boards have wrong ones.
	Time time.Time `json:"time"`
	// BeatEvery is how often the server wants a sign of life.
	BeatEvery time.Duration `json:"beatEvery"`
	// NetconsolePort is the UDP port for kernel messages, 0 for none.
	NetconsolePort int `json:"netconsolePort,omitempty"`
}

// OrderKind is what the agent is to do.
type OrderKind string

// The orders. Wait asks again; Refresh reads the facts again.
const (
	OrderWait     OrderKind = "wait"
	OrderRefresh  OrderKind = "refresh-facts"
	OrderDeploy   OrderKind = "deploy"
	OrderWipe     OrderKind = "wipe"
	OrderReboot   OrderKind = "reboot"
	OrderPowerOff OrderKind = "power-off"
)

// Order is one thing to do. The agent refuses a generation older than one that it, or
// the marker on the disk, has seen.
type Order struct {
	Kind       OrderKind `json:"kind"`
	Generation int64     `json:"generation"`
	// Inventory names the installation that gives the order.
	Inventory string  `json:"inventory,omitempty"`
	Deploy    *Deploy `json:"deploy,omitempty"`
	Wipe      *Wipe   `json:"wipe,omitempty"`
}

// Deploy says what to write where.
type Deploy struct {
	// Image is "name@digest"; Digest is checked against the manifest.
	Image  string `json:"image"`
	Digest string `json:"digest"`
	// ManifestPath and DataPath are paths on the machine listener (plain HTTP: the
	// digest protects them, and chunks keep sendfile).
	ManifestPath string             `json:"manifestPath"`
	DataPath     string             `json:"dataPath"`
	Disk         inventory.DiskHint `json:"disk"`
	Overwrite    bool               `json:"overwrite,omitempty"`
	Verify       bool               `json:"verify,omitempty"`
	NetworkFirst bool               `json:"networkFirst,omitempty"`
	// Machine is recorded in the marker on the disk.
	Machine string `json:"machine"`
	// TrustedKeys are minisign public keys, of one of which the manifest must have a
	// signature among Signatures (base64's text form); none asks for no signature.
	TrustedKeys []string `json:"trustedKeys,omitempty"`
	Signatures  []string `json:"signatures,omitempty"`
	// Seed is the CIDATA file system, through PackSeed; nil when the image has no use for
	// one.
	Seed []byte `json:"seed,omitempty"`
}

// Wipe says which disks to erase: those that carry Ingot's marker, and, with All,
// every disk of the machine.
type Wipe struct {
	Machine string `json:"machine"`
	All     bool   `json:"all,omitempty"`
}

// Beat is a sign of life, with progress when there is some.
type Beat struct {
	Generation int64               `json:"generation,omitempty"`
	Progress   *inventory.Progress `json:"progress,omitempty"`
}

// Problem is the body of an error answer.
type Problem struct {
	Error string `json:"error"`
	// Final tells the agent that asking again changes nothing.
	Final bool `json:"final,omitempty"`
}

// The paths of the API.
const (
	PathHello  = "/agent/v1/hello"
	PathFacts  = "/agent/v1/facts"
	PathOrder  = "/agent/v1/order"
	PathBeat   = "/agent/v1/beat"
	PathReport = "/agent/v1/report"
	PathLog    = "/agent/v1/log"
)

// Limits of what a hostile agent may send.
const (
	maxBodyBytes = 4 << 20
	maxLogBytes  = 256 << 10
)
