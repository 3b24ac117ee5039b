package hyperv

import (
	"fmt"
	"regexp"
	"strings"

	"ingot/inventory"
)

// storageMax leaves room for what comes below it: paths are limited to 260 letters
// (MAX_PATH), and \ingot\OWNER\ID\machine\Virtual Machines\GUID.vmcx has up to 150.
const storageMax = 100

// driveOrShare is how a full path of Windows starts.
var driveOrShare = regexp.MustCompile(`^([A-Za-z]:|\\\\[^\\]+\\[^\\]+)\\`)

// badSegment is a folder's name that Windows does not take, or takes for another one (Win32
// "Naming Files, Paths, and Namespaces"): names don't end in a dot or a space.
var badSegment = regexp.MustCompile(`[<>:"|?*\x00-\x1f]|[. ]$`)

// cleanStorage is a path as Windows has it: the scripts compare paths as text. Empty stays
// empty.
func cleanStorage(path string) (string, error) {
	text := strings.ReplaceAll(path, "/", `\`)
	if text == "" {
		return "", nil
	}
	start := driveOrShare.FindString(text + `\`)
	if start == "" {
		return "", fmt.Errorf("storage %q (want a full path such as D:\\VMs): %w", path, inventory.ErrInvalid)
	}
	kept := []string{strings.TrimRight(start, `\`)}
	for segment := range strings.SplitSeq(text[min(len(start), len(text)):], `\`) {
		switch {
		case segment == "" || segment == ".":
		case badSegment.MatchString(segment): // ".." too
			return "", fmt.Errorf("storage %q has %q in it: %w", path, segment, inventory.ErrInvalid)
		default:
			kept = append(kept, segment)
		}
	}
	if strings.ContainsAny(kept[0][2:], `<>:"|?*`) || strings.HasPrefix(kept[0], `\\.\`) {
		return "", fmt.Errorf("storage %q (want a drive or a share, such as D:\\VMs): %w", path, inventory.ErrInvalid)
	}
	clean := strings.Join(kept, `\`)
	if len(clean) == len("D:") {
		clean += `\` // "D:" is where somebody is on that drive
	}
	if len(clean) > storageMax {
		return "", fmt.Errorf("storage %q (want a path of at most %d letters): %w", path, storageMax, inventory.ErrInvalid)
	}
	return clean, nil
}
