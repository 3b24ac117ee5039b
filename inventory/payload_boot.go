package inventory

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// BootStarted: a network boot began. Attempt names it in the events that follow.
type BootStarted struct {
	Attempt string     `json:"attempt"`
	MAC     MAC        `json:"mac"`
	Arch    int        `json:"arch"`
	Client  string     `json:"client"`
	Chain   BootChain  `json:"chain,omitempty"`
	File    string     `json:"file,omitempty"`
	Network string     `json:"network,omitempty"`
	Relay   netip.Addr `json:"relay,omitzero"`
	// Nothing tells why no file was offered.
	Nothing string `json:"nothing,omitempty"`
}

// Kind implements Payload.
func (BootStarted) Kind() EventKind { return EventBoot }
func (p BootStarted) String() string {
	if p.Nothing != "" {
		return fmt.Sprintf("network boot by %s (architecture %d): nothing offered, %s", p.Client, p.Arch, p.Nothing)
	}
	return fmt.Sprintf("network boot by %s (architecture %d): offered %s", p.Client, p.Arch, p.File)
}

// FileOutcome is how the transfer of a file ended.
type FileOutcome string

// The outcomes. Probe is UEFI asking for the size and stopping: normal.
const (
	FileDone     FileOutcome = "done"
	FileStopped  FileOutcome = "stopped"
	FileNotFound FileOutcome = "not-found"
	FileProbe    FileOutcome = "size-probe"
)

// BootFile: a boot file went out, or didn't.
type BootFile struct {
	Attempt string `json:"attempt,omitempty"`
	File    string `json:"file"`
	// Set is the set of boot files that it is from, empty where the client named none.
	Set        string      `json:"set,omitempty"`
	Protocol   string      `json:"protocol"`
	Outcome    FileOutcome `json:"outcome"`
	Bytes      int64       `json:"bytes"`
	TotalBytes int64       `json:"totalBytes"`
	Block      int64       `json:"block,omitempty"`
	// Part: the client takes only parts of the file; Bytes are of the first one.
	Part  bool   `json:"part,omitempty"`
	Error string `json:"error,omitempty"`
}

// Kind implements Payload.
func (BootFile) Kind() EventKind { return EventBootFile }
func (p BootFile) String() string {
	switch p.Outcome {
	case FileDone:
		if p.Part {
			return fmt.Sprintf("%s fetched in parts by %s", p.File, strings.ToUpper(p.Protocol))
		}
		return fmt.Sprintf("%s fetched by %s (%s)", p.File, strings.ToUpper(p.Protocol), FormatBytes(p.Bytes))
	case FileStopped:
		return fmt.Sprintf("%s by %s stopped at block %d, %s of %s", p.File, strings.ToUpper(p.Protocol), p.Block,
			FormatBytes(p.Bytes), FormatBytes(p.TotalBytes))
	}
	return fmt.Sprintf("%s by %s: %s", p.File, strings.ToUpper(p.Protocol), p.Outcome)
}

// BootScript: an iPXE or GRUB script was served.
type BootScript struct {
	Attempt string     `json:"attempt,omitempty"`
	Script  string     `json:"script"`
	Answer  BootAnswer `json:"answer"`
	Why     string     `json:"why,omitempty"`
}

// Kind implements Payload.
func (BootScript) Kind() EventKind { return EventBootScript }
func (p BootScript) String() string {
	return fmt.Sprintf("%s script: boot %s (%s)", p.Script, p.Answer, p.Why)
}

// BootRejected: the firmware fetched a loader whole and did not follow it up.
type BootRejected struct {
	File string    `json:"file"`
	Next BootChain `json:"next"`
	// Arch is the client's that refused it (option 93).
	Arch int `json:"arch,omitempty"`
}

// Kind implements Payload.
func (BootRejected) Kind() EventKind { return EventBootRejected }
func (p BootRejected) String() string {
	return fmt.Sprintf("firmware fetched %s and did not run it; next boot gets the %s chain", p.File, p.Next)
}

// AgentUp: the agent said hello.
type AgentUp struct {
	Boot    string     `json:"boot"`
	Address netip.Addr `json:"address,omitzero"`
	Kernel  string     `json:"kernel,omitempty"`
	Version string     `json:"version,omitempty"`
	// BootSet is the set of boot files that it booted from, when it said so.
	BootSet string `json:"bootSet,omitempty"`
}

// Kind implements Payload.
func (AgentUp) Kind() EventKind  { return EventAgentUp }
func (p AgentUp) String() string { return fmt.Sprintf("agent is up at %s", p.Address) }

// AgentLost: no beat for longer than allowed.
type AgentLost struct {
	Phase   Phase  `json:"phase,omitempty"`
	LastLog string `json:"lastLog,omitempty"`
	Percent int    `json:"percent,omitempty"`
	// Beat is when it was last heard.
	Beat time.Time `json:"beat,omitzero"`
}

// Kind implements Payload.
func (AgentLost) Kind() EventKind { return EventAgentLost }
func (p AgentLost) String() string {
	return fmt.Sprintf("agent fell silent; its last log line: %s", p.LastLog)
}

// AgentPanic: the agent or its kernel died; Line is the first line of it.
type AgentPanic struct {
	Line string `json:"line"`
}

// Kind implements Payload.
func (AgentPanic) Kind() EventKind  { return EventAgentPanic }
func (p AgentPanic) String() string { return "agent died: " + p.Line }

// AgentAlarm: something claims to be this machine a second time.
type AgentAlarm struct {
	Address netip.Addr `json:"address,omitzero"`
	Reason  string     `json:"reason"`
}

// Kind implements Payload.
func (AgentAlarm) Kind() EventKind  { return EventAgentAlarm }
func (p AgentAlarm) String() string { return fmt.Sprintf("alarm: %s (from %s)", p.Reason, p.Address) }

// OrderRefused: the agent refused an order.
type OrderRefused struct {
	Generation int64  `json:"generation"`
	Reason     string `json:"reason"`
}

// Kind implements Payload.
func (OrderRefused) Kind() EventKind { return EventOrderRefused }
func (p OrderRefused) String() string {
	return fmt.Sprintf("agent refused order %d: %s", p.Generation, p.Reason)
}
