package lint

import "slices"

// Level is how a check came out.
type Level string

// The levels, from good to bad. NotChecked could not be seen.
const (
	OK         Level = "ok"
	NotChecked Level = "not checked"
	Warning    Level = "warning"
	Failed     Level = "failed"
)

// Finding is the outcome of one check.
type Finding struct {
	// Check names it: "machine-id".
	Check  string `json:"check"`
	Level  Level  `json:"level"`
	Detail string `json:"detail,omitempty"`
	// Fix is what to do about it.
	Fix string `json:"fix,omitempty"`
}

// Findings are the outcome of all checks.
type Findings []Finding

// Failed are those that failed.
func (f Findings) Failed() Findings {
	return slices.DeleteFunc(slices.Clone(f), func(x Finding) bool { return x.Level != Failed })
}
