package agentapi

import (
	"bytes"
	"strings"
)

// PanicLine finds the line of a kernel message that says that the kernel or the agent
// died.
func PanicLine(text []byte) (string, bool) {
	for line := range bytes.Lines(text) {
		s := strings.TrimSpace(string(bytes.ToValidUTF8(line, []byte("?"))))
		for _, sign := range []string{"Kernel panic", "BUG:", "Oops:", "panic:", "fatal error:", "Attempted to kill init"} {
			if strings.Contains(s, sign) {
				return s[:min(len(s), 300)], true
			}
		}
	}
	return "", false
}
