package inventory

import (
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"regexp"
	"strings"
	"time"
)

// Kind tells metal from virtual machines.
type Kind string

// The kinds of machine.
const (
	KindMetal Kind = "metal"
	KindVM    Kind = "vm"
)

// Machine is one computer, metal or virtual: what it has (Facts, kept by version
// beside it), what we want of it (Spec), and how far that is (Status).
type Machine struct {
	// ID is given at creation and never changes ("m-" and 12 hex digits).
	ID string `json:"id"`
	// Name is unique and a DNS label; made from the template or the MAC until set.
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// Identity is what this machine is known by.
	Identity Identity `json:"identity"`
	// Position is where it stands, nil when not placed.
	Position *Position `json:"position,omitempty"`
	Spec     Spec      `json:"spec"`
	Status   Status    `json:"status"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
	// Revision counts the writes; a Put with another revision is ErrConflict.
	Revision int64 `json:"revision"`
}

// Position is a place in a rack. U is the lowest unit it fills, counted from 1.
type Position struct {
	Rack string  `json:"rack"`
	U    float64 `json:"u"`
	// HeightU is the height in rack units.
	HeightU float64 `json:"heightU"`
	Face    string  `json:"face,omitempty"`
}

// Spec is what we want of a machine. A change of Image, Disk or UserData takes effect
// with the next Generation, which only an explicit deploy order raises.
type Spec struct {
	// Approved allows Ingot to act on the machine beyond reading its facts.
	Approved bool `json:"approved"`
	// Hostname is the installed system's name; Machine.Name when empty.
	Hostname string `json:"hostname,omitempty"`
	// Image is the reference as the user gave it ("debian-12:stable").
	Image string `json:"image,omitempty"`
	// ImageDigest is what Image meant when the deploy was ordered ("sha256:...").
	ImageDigest string `json:"imageDigest,omitempty"`
	// Disk chooses the disk to write.
	Disk DiskHint `json:"disk"`
	// Overwrite allows writing a disk that carries data Ingot didn't write.
	Overwrite bool `json:"overwrite,omitempty"`
	// Verify reads the written disk back and compares.
	Verify bool `json:"verify,omitempty"`
	// SSHKeys are authorized_keys lines for the image's default user.
	SSHKeys []string `json:"sshKeys,omitempty"`
	// UserData is the user's cloud-init document. It may hold secrets: it is never
	// marshalled; the store keeps it apart, and only a seed contains it.
	UserData []byte `json:"-"`
	// Addresses are static addresses wanted in the installed system, by NIC.
	Addresses []StaticAddress `json:"addresses,omitempty"`
	// NetworkFirst keeps the network before the disk in the boot order.
	NetworkFirst bool `json:"networkFirst,omitempty"`
	// Chain overrides the choice of boot chain for this machine.
	Chain BootChain `json:"chain,omitempty"`
	// VM is what is wanted of a virtual machine, nil for metal.
	VM *VMSpec `json:"vm,omitempty"`
	// Generation counts the deploy, wipe and release orders ever given.
	Generation int64 `json:"generation"`
}

// StaticAddress is an address of the installed system. MAC chooses the NIC.
type StaticAddress struct {
	MAC     MAC          `json:"mac"`
	Prefix  netip.Prefix `json:"prefix"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
	DNS     []netip.Addr `json:"dns,omitempty"`
}

var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// CheckName reports whether name is a DNS label (RFC 1123), which names of machines
// and networks must be; the error says what is allowed.
func CheckName(name string) error {
	if !label.MatchString(name) {
		return Invalid("name %q (want 1 to 63 of a-z, 0-9 and -, not at the ends)", name)
	}
	return nil
}

// CheckHostname refuses what is no hostname (RFC 1123), with or without a domain.
func CheckHostname(name string) error {
	for part := range strings.SplitSeq(name, ".") {
		if !label.MatchString(strings.ToLower(part)) || len(name) > 253 {
			return Invalid("hostname %q (want letters, digits and -, like web1 or web1.example.org)", name)
		}
	}
	return nil
}

// NewMachine returns a metal machine that was just seen under a MAC, named after it.
func NewMachine(mac MAC, now time.Time) *Machine {
	return &Machine{
		ID: newID(), Name: "metal-" + strings.ReplaceAll(string(mac), ":", ""), Kind: KindMetal,
		Identity: Identity{MACs: []MAC{mac}}, Status: Status{State: Discovered, PhaseSince: now},
		Created: now, Updated: now,
	}
}

func newID() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return "m-" + hex.EncodeToString(b)
}

// HostnameOrName is the hostname of the installed system.
func (m *Machine) HostnameOrName() string {
	if m.Spec.Hostname != "" {
		return m.Spec.Hostname
	}
	return m.Name
}
