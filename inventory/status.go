package inventory

import (
	"net/netip"
	"time"
)

// Status is how far the machine is.
type Status struct {
	State State `json:"state"`
	// Phase is the step within the state, empty where a state has none.
	Phase Phase `json:"phase,omitempty"`
	// PhaseSince restarts with every phase, Beat with every sign of life.
	PhaseSince time.Time `json:"phaseSince,omitzero"`
	Beat       time.Time `json:"beat,omitzero"`
	// Previous is the state to return to from rescue.
	Previous State `json:"previous,omitempty"`
	// Error is the failure that stands, nil when all is well.
	Error *Failure `json:"error,omitempty"`
	// Tries counts the attempts at this phase that failed; those at writing include the
	// boots that lead to it.
	Tries int `json:"tries,omitempty"`
	// Progress is set while a long step runs.
	Progress *Progress `json:"progress,omitempty"`
	// Address is where the machine can be reached, and who said so.
	Address       netip.Addr `json:"address,omitzero"`
	AddressSource string     `json:"addressSource,omitempty"`
	// ImageDigest is what is on the disk now.
	ImageDigest string `json:"imageDigest,omitempty"`
	// FactsVersion is the newest version of its facts, 0 when never inspected.
	FactsVersion int `json:"factsVersion"`
	// Firmware is "bios" or "uefi" as last seen; SecureBoot as the agent reported.
	Firmware   FirmwareMode    `json:"firmware,omitempty"`
	SecureBoot SecureBootState `json:"secureBoot,omitempty"`
	// Agent is the running agent's session, nil when none is known to be up.
	Agent *AgentSession `json:"agent,omitempty"`
	// OrderedAt is when the present generation was ordered; Claim is the boot that its
	// secrets were given to, nil before.
	OrderedAt time.Time `json:"orderedAt,omitzero"`
	Claim     *Claim    `json:"claim,omitempty"`
	// Report is the last result that the agent or driver gave, by generation.
	Report *Report `json:"report,omitempty"`
	// VM is what a virtual machine's host has of it, nil before it was made.
	VM *VMStatus `json:"vm,omitempty"`
	// PhoneHome is the installed system's own word, nil before it came.
	PhoneHome *PhoneHome `json:"phoneHome,omitempty"`
	// FirstBootNone is set when the image being deployed has nobody to phone home.
	FirstBootNone bool `json:"firstBootNone,omitempty"`
	// Locked refuses deploy, wipe, release and delete. Maintenance only informs.
	Locked      bool `json:"locked,omitempty"`
	Maintenance bool `json:"maintenance,omitempty"`
	// Hold stops every write order; the text says why (a restored backup, a conflict).
	Hold string `json:"hold,omitempty"`
	// Conflict describes contradicting identities; nothing happens while it stands.
	Conflict string `json:"conflict,omitempty"`
}

// Failure is what went wrong: the step, why, since when, and what to try. It stands
// beside the state so that the failed phase is never lost.
type Failure struct {
	Step   string    `json:"step"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Try    string    `json:"try,omitempty"`
	// Permanent failures wait for a new order; others are retried.
	Permanent bool `json:"permanent,omitempty"`
}

// Same reports whether g is the failure that stands already, whenever it was seen.
func (f *Failure) Same(g Failure) bool {
	return f != nil && f.Step == g.Step && f.Reason == g.Reason && f.Permanent == g.Permanent
}

// Progress of a long step. Bytes count what is done of TotalBytes in the logical
// image; WireBytes what crossed the network.
type Progress struct {
	Step        string        `json:"step"`
	Bytes       int64         `json:"bytes"`
	TotalBytes  int64         `json:"totalBytes"`
	WireBytes   int64         `json:"wireBytes,omitempty"`
	BytesPerSec float64       `json:"bytesPerSec,omitempty"`
	ETA         time.Duration `json:"eta,omitempty"`
	At          time.Time     `json:"at"`
}

// Percent is 0 to 100 whatever the counts say; 0 when the total isn't known.
func (p Progress) Percent() int {
	if p.TotalBytes <= 0 {
		return 0
	}
	return int(100 * float64(min(max(p.Bytes, 0), p.TotalBytes)) / float64(p.TotalBytes))
}

// AgentSession is one boot of the agent on this machine.
type AgentSession struct {
	// Boot is the random name of that boot.
	Boot    string     `json:"boot"`
	Since   time.Time  `json:"since"`
	Address netip.Addr `json:"address,omitzero"`
	// MAC is the NIC the agent came up on.
	MAC MAC `json:"mac,omitempty"`
	// BootSet is the set of boot files that it booted from, empty when it didn't say.
	BootSet string `json:"bootSet,omitempty"`
	// FactsAt is when this boot's agent last sent the facts, zero before.
	FactsAt time.Time `json:"factsAt,omitzero"`
	// LastLog is the last line of its log, for the answer to "what is it doing?".
	LastLog string `json:"lastLog,omitempty"`
	// Trusted is set when the token was claimed in the window after approval.
	Trusted bool `json:"trusted"`
}

// Claim is the boot that took an order with secrets. One boot claims a generation; a
// second claim is let through (a power cut looks the same) and raises an alarm unless
// the first agent was seen to go.
type Claim struct {
	Generation int64     `json:"generation"`
	Boot       string    `json:"boot"`
	At         time.Time `json:"at"`
}

// Report is the outcome of one order.
type Report struct {
	Generation int64     `json:"generation"`
	Order      string    `json:"order"`
	OK         bool      `json:"ok"`
	Failure    *Failure  `json:"failure,omitempty"`
	At         time.Time `json:"at"`
	// Disk is the disk that was written, in words (path, model, serial).
	Disk string `json:"disk,omitempty"`
	// WireBytes and RefetchedChunks tell how the transfer went.
	WireBytes       int64 `json:"wireBytes,omitempty"`
	RefetchedChunks int   `json:"refetchedChunks,omitempty"`
	// Duration of the work.
	Duration time.Duration `json:"duration,omitempty"`
	// Boot is the agent's boot that gave the report.
	Boot string `json:"boot,omitempty"`
}

// PhoneHome is the installed system's first word.
type PhoneHome struct {
	Generation int64      `json:"generation"`
	InstanceID string     `json:"instanceId"`
	Hostname   string     `json:"hostname,omitempty"`
	Address    netip.Addr `json:"address,omitzero"`
	HostKeys   []string   `json:"hostKeys,omitempty"`
	At         time.Time  `json:"at"`
}
