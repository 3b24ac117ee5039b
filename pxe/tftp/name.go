package tftp

import (
	"fmt"
	"strings"

	"ingot/inventory"
)

// nameMax bounds a file name; longer ones don't fit a request packet anyway.
const nameMax = 255

// cleanName turns a requested name into slash-separated parts without a leading slash,
// and takes a MAC folder off its front. A name that climbs out, or has control
// characters in it, is inventory.ErrInvalid.
func cleanName(asked string) (name string, mac inventory.MAC, err error) {
	if len(asked) > nameMax {
		return "", "", inventory.Invalid("file name of %d bytes", len(asked))
	}
	var parts []string
	for part := range strings.SplitSeq(strings.ReplaceAll(asked, `\`, "/"), "/") {
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			return "", "", inventory.Invalid("file name %q climbs out of its folder", asked)
		case strings.ContainsFunc(part, func(c rune) bool { return c < ' ' || c == 0x7f }):
			return "", "", inventory.Invalid("file name %q has control characters", asked)
		}
		parts = append(parts, part)
	}
	if len(parts) > 1 {
		if mac, err := inventory.ParseMAC(parts[0]); err == nil {
			return strings.Join(parts[1:], "/"), mac, nil
		}
	}
	if len(parts) == 0 {
		return "", "", fmt.Errorf("file name %q is empty: %w", asked, inventory.ErrInvalid)
	}
	return strings.Join(parts, "/"), "", nil
}
