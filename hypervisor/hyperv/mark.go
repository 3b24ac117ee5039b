package hyperv

import (
	"encoding/json"
	"strings"
	"unicode/utf16"

	"ingot/hypervisor"
)

// mark is the line in a machine's notes that says whose it is. Owner and ID come first:
// the scripts look for machines by the line's start.
type mark struct {
	Owner string               `json:"owner"`
	ID    string               `json:"id"`
	Name  string               `json:"name,omitempty"`
	Image string               `json:"image,omitempty"`
	Clone hypervisor.CloneKind `json:"clone,omitempty"`
	State markState            `json:"state"`
}

// markState is how far a machine is.
type markState string

// What is being made is not a machine yet. An adopted one is not deleted with its disks.
const (
	making  markState = "making"
	made    markState = "made"
	adopted markState = "adopted"
)

const markPrefix = "ingot: "

// line is the mark as it stands in notes.
func (m mark) line() string {
	text, err := json.Marshal(m)
	if err != nil {
		panic("hyperv: " + err.Error()) // strings only
	}
	return markPrefix + string(text)
}

// anyMark starts the line of any machine of Ingot's.
const anyMark = markPrefix + `{"owner":`

// ownerMark is how the lines of an owner's machines start, idMark that of one machine.
func ownerMark(owner string) string { return anyMark + quote(owner) + "," }

func idMark(owner, id string) string { return ownerMark(owner) + `"id":` + quote(id) + "," }

func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic("hyperv: " + err.Error())
	}
	return string(text)
}

// readMark finds the mark in notes; the zero mark when there is none.
func readMark(notes string) mark {
	for line := range strings.Lines(notes) {
		var m mark
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), markPrefix)
		if ok && json.Unmarshal([]byte(rest), &m) == nil && m.Owner != "" && m.ID != "" {
			return m
		}
	}
	return mark{}
}

// write puts the mark below what people wrote, in place of an older one.
func (m mark) write(notes string) string {
	var kept []string
	for line := range strings.Lines(notes) {
		if readMark(line) == (mark{}) {
			kept = append(kept, strings.TrimRight(line, "\r\n"))
		}
	}
	return strings.Join(append(kept, m.line()), "\r\n")
}

// nameMax is the most letters of a machine's name (microsoft/openvmm#1647). The full name
// stands in the mark.
const nameMax = 100

// visibleName is what people see at the host.
func visibleName(name string) string {
	units := 0
	for i, r := range name {
		if units += len(utf16.AppendRune(nil, r)); units > nameMax {
			return name[:i]
		}
	}
	return name
}
