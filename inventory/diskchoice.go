package inventory

import (
	"fmt"
	"path"
	"strings"
)

// Choose returns the one disk that the hint means. Disks that are removable, read-only
// or empty never fit. No match, or several without Pick, is ErrInvalid and the text
// lists the disks there are: Ingot never picks "some disk".
func (h DiskHint) Choose(disks []Disk) (Disk, error) {
	var fit []Disk
	for _, d := range disks {
		if h.fits(d) {
			fit = append(fit, d)
		}
	}
	if len(fit) == 0 {
		return Disk{}, Invalid("no disk fits %s; this machine has %s", h, describeDisks(disks))
	}
	if len(fit) == 1 {
		return fit[0], nil
	}
	best, tie := h.pick(fit)
	if h.Pick == "" || tie {
		return Disk{}, Invalid("%d disks fit %s: %s; name one with --disk", len(fit), h, describeDisks(fit))
	}
	return best, nil
}

func (h DiskHint) pick(fit []Disk) (best Disk, tie bool) {
	best = fit[0]
	for _, d := range fit[1:] {
		switch {
		case d.SizeBytes == best.SizeBytes:
			tie = true
		case (d.SizeBytes < best.SizeBytes) == (h.Pick == "smallest"):
			best, tie = d, false
		}
	}
	return best, tie
}

func (h DiskHint) fits(d Disk) bool {
	if d.Removable || d.ReadOnly || d.SizeBytes == 0 {
		return false
	}
	return globOrEmpty(h.Name, d.Name) && globOrEmpty(h.Model, d.Model) && globOrEmpty(h.Serial, d.Serial) &&
		globOrEmpty(h.WWN, d.WWN) && globOrEmpty(h.Transport, d.Transport) &&
		(h.MinBytes == 0 || d.SizeBytes >= h.MinBytes) && (h.MaxBytes == 0 || d.SizeBytes <= h.MaxBytes) &&
		(h.Rotational == nil || *h.Rotational == d.Rotational)
}

func globOrEmpty(pattern, value string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(strings.ToLower(literal.Replace(pattern)), strings.ToLower(slashless.Replace(value)))
	return err == nil && ok
}

// path.Match stops * at a slash, and takes brackets and backslashes as syntax; model
// names have all of them.
var (
	slashless = strings.NewReplacer("/", "\x00")
	literal   = strings.NewReplacer("/", "\x00", "[", `\[`, "]", `\]`, `\`, `\\`)
)

func describeDisks(disks []Disk) string {
	if len(disks) == 0 {
		return "no disk"
	}
	var out []string
	for _, d := range disks {
		out = append(out, fmt.Sprintf("%s (%s, model %q, serial %q)", d.Name, FormatBytes(d.SizeBytes), d.Model, d.Serial))
	}
	return strings.Join(out, ", ")
}
