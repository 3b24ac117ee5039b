package inventory

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// BootSetState is what a set of boot files is to the machines.
type BootSetState string

// The states of a set.
const (
	// BootSetCurrent is what boots begin with.
	BootSetCurrent BootSetState = "current"
	// BootSetCandidate was never current, and no boot test of it failed.
	BootSetCandidate BootSetState = "candidate"
	// BootSetFailed failed a boot test and was never current.
	BootSetFailed BootSetState = "failed"
	// BootSetFormer was current.
	BootSetFormer BootSetState = "former"
	// BootSetWithdrawn was current and rolled back: no schedule takes it again.
	BootSetWithdrawn BootSetState = "withdrawn"
	// BootSetDamaged can't be read: a build of the same packages makes it again.
	BootSetDamaged BootSetState = "damaged"
)

// BootSet is one set of the boot environment's files: loaders, kernel, the agent's two
// stages.
type BootSet struct {
	// ID is the beginning of Digest, in 16 hex digits.
	ID string `json:"id"`
	// Digest is over the names and SHA-256s of the files.
	Digest string       `json:"digest"`
	State  BootSetState `json:"state"`
	Kernel string       `json:"kernel"`
	// AgentVersion is the commit of the agent, empty when its binary doesn't say.
	AgentVersion string `json:"agentVersion,omitempty"`
	// Packages are Debian's, by name and version; none when they were given as a folder.
	Packages  []BootPackage `json:"packages,omitempty"`
	SizeBytes int64         `json:"sizeBytes"`
	Built     time.Time     `json:"built"`
	// Promoted is when it became current the last time, Withdrawn when it was rolled back.
	Promoted  time.Time `json:"promoted,omitzero"`
	Withdrawn time.Time `json:"withdrawn,omitzero"`
	// Tests has the newest boot test of each mode.
	Tests []BootSetTest `json:"tests,omitempty"`
	// Machines is how many agents run it; counted when it is asked for.
	Machines int `json:"machines"`
}

// BootPackage is a Debian package.
type BootPackage struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// BootSetTest is one boot of a set in a virtual machine.
type BootSetTest struct {
	// Mode is bios, uefi or secureboot.
	Mode    string    `json:"mode"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Passed  bool      `json:"passed"`
	// Skipped says why this host can't test the mode; the test then says nothing.
	Skipped string `json:"skipped,omitempty"`
	// Problem is the first failure as a sentence; Facts is what the agent found.
	Problem string `json:"problem,omitempty"`
	Facts   string `json:"facts,omitempty"`
	// Files are console log, screenshot and the test server's log, on the server.
	Files       []string `json:"files,omitempty"`
	Accelerated bool     `json:"accelerated"`
}

// Tested is true when one mode passed its boot test and none failed it.
func (s BootSet) Tested() bool {
	return s.Problem() == "" && slices.ContainsFunc(s.Tests, func(t BootSetTest) bool { return t.Passed })
}

// Problem is why it failed its boot test, empty when it did not.
func (s BootSet) Problem() string {
	for _, t := range s.Tests {
		if !t.Passed && t.Skipped == "" {
			return t.Mode + ": " + t.Problem
		}
	}
	return ""
}

const setPrefix = "set-"

// SetFolder is the folder of a set's files in the names that machines ask for, with its
// slash; it is empty for the current set.
func SetFolder(id string) string {
	if id == "" {
		return ""
	}
	return setPrefix + id + "/"
}

// CutSet takes the set's folder off a name that a machine asked for.
func CutSet(asked string) (id, name string) {
	folder, name, found := strings.Cut(asked, "/")
	if id, ok := strings.CutPrefix(folder, setPrefix); ok && found && id != "" {
		return id, name
	}
	return "", asked
}

// BootSetTested: a boot test of a set of boot files came to its end.
type BootSetTested struct {
	Set     string `json:"set"`
	Kernel  string `json:"kernel"`
	Mode    string `json:"mode"`
	Passed  bool   `json:"passed"`
	Problem string `json:"problem,omitempty"`
}

// Kind implements Payload.
func (BootSetTested) Kind() EventKind { return EventBootSetTested }
func (p BootSetTested) String() string {
	if p.Passed {
		return fmt.Sprintf("boot set %s (kernel %s) passed its boot test (%s)", p.Set, p.Kernel, p.Mode)
	}
	return fmt.Sprintf("boot set %s (kernel %s) failed its boot test (%s): %s", p.Set, p.Kernel, p.Mode, p.Problem)
}

// BootSetMoved: boots begin with another set.
type BootSetMoved struct {
	Set    string `json:"set"`
	Kernel string `json:"kernel"`
	// Before is the set that was current, empty for none.
	Before string `json:"before,omitempty"`
	Why    string `json:"why"`
}

// Kind implements Payload.
func (BootSetMoved) Kind() EventKind { return EventBootSet }
func (p BootSetMoved) String() string {
	return fmt.Sprintf("machines boot set %s (kernel %s) from now on: %s", p.Set, p.Kernel, p.Why)
}

// BootSetSuspect: machines that boot a new set don't come up.
type BootSetSuspect struct {
	Set      string   `json:"set"`
	Kernel   string   `json:"kernel"`
	Machines []string `json:"machines"`
	// Rollback is the command that goes back, empty where there is nothing to go back to.
	Rollback string `json:"rollback,omitempty"`
}

// Kind implements Payload.
func (BootSetSuspect) Kind() EventKind { return EventBootSetSuspect }
func (p BootSetSuspect) String() string {
	text := fmt.Sprintf("boot set %s (kernel %s): the last %d machines that boot it never reached the agent (%s)", p.Set, p.Kernel, len(p.Machines), strings.Join(p.Machines, ", "))
	if p.Rollback != "" {
		text += "; go back with: " + p.Rollback
	}
	return text
}
