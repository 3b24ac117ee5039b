package inventory

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// DiskHint says which disk of a machine is meant: every condition given must hold.
// The zero value means "the only disk". It is written
// "size>=100G,rotational=no,model=Samsung*,pick=smallest".
type DiskHint struct {
	Name      string `json:"name,omitempty"`
	Model     string `json:"model,omitempty"`
	Serial    string `json:"serial,omitempty"`
	WWN       string `json:"wwn,omitempty"`
	Transport string `json:"transport,omitempty"`
	// MinBytes and MaxBytes bound the size, 0 for no bound.
	MinBytes   int64 `json:"minBytes,omitempty"`
	MaxBytes   int64 `json:"maxBytes,omitempty"`
	Rotational *bool `json:"rotational,omitempty"`
	// Pick decides among several that fit: "smallest" or "largest".
	Pick string `json:"pick,omitempty"`
}

// ParseDiskHint reads the written form. Model and serial may hold * and ? wildcards.
// Unknown keys and bad values are ErrInvalid and name what is allowed.
func ParseDiskHint(s string) (DiskHint, error) {
	var h DiskHint
	for _, part := range strings.Split(s, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		if err := h.set(part); err != nil {
			return DiskHint{}, err
		}
	}
	return h, nil
}

func (h *DiskHint) set(part string) error {
	for _, op := range []string{">=", "<=", "="} {
		key, value, ok := strings.Cut(part, op)
		if !ok {
			continue
		}
		return h.setKey(strings.TrimSpace(key), op, strings.TrimSpace(value))
	}
	if strings.HasPrefix(part, "/dev/") || !strings.ContainsAny(part, " ") {
		h.Name = strings.TrimPrefix(part, "/dev/")
		return nil
	}
	return Invalid("disk hint %q (want key=value)", part)
}

func (h *DiskHint) setKey(key, op, value string) error {
	if op != "=" && key != "size" {
		return Invalid("disk hint %s%s%s (only size takes %s)", key, op, value, op)
	}
	switch key {
	case "name":
		h.Name = strings.TrimPrefix(value, "/dev/")
	case "model":
		h.Model = value
	case "serial":
		h.Serial = value
	case "wwn":
		h.WWN = value
	case "transport":
		h.Transport = value
	case "size":
		return h.setSize(op, value)
	case "rotational":
		yes, err := parseYesNo(value)
		h.Rotational = &yes
		return err
	case "pick":
		if value != "smallest" && value != "largest" {
			return Invalid("disk hint pick=%q (want smallest or largest)", value)
		}
		h.Pick = value
	default:
		return Invalid("disk hint key %q (want name, model, serial, wwn, transport, size, rotational or pick)", key)
	}
	return nil
}

func (h *DiskHint) setSize(op, value string) error {
	n, err := ParseBytes(value)
	if err != nil {
		return err
	}
	if op != "<=" {
		h.MinBytes = n
	}
	if op != ">=" {
		h.MaxBytes = n
	}
	return nil
}

func parseYesNo(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "yes", "true", "1":
		return true, nil
	case "no", "false", "0":
		return false, nil
	}
	return false, Invalid("value %q (want yes or no)", s)
}

// ParseBytes reads a size such as 512, 100G, 1.5TiB. G and GB are powers of 1000, as
// printed on disks; Gi and GiB are powers of 1024.
func ParseBytes(s string) (int64, error) {
	text := strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(s)), "B")
	base := 1000.0
	if strings.HasSuffix(text, "I") {
		text, base = strings.TrimSuffix(text, "I"), 1024
	}
	factor := 1.0
	if i := strings.IndexAny("KMGTP", lastByte(text)); i >= 0 {
		text = text[:len(text)-1]
		for range i + 1 {
			factor *= base
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || n < 0 || n*factor > 1<<62 {
		return 0, Invalid("size %q (want a number with K, M, G, T or Ki, Mi, Gi, Ti)", s)
	}
	return int64(n * factor), nil
}

func lastByte(s string) string {
	if s == "" {
		return "?"
	}
	return s[len(s)-1:]
}

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
	ok, err := path.Match(strings.ToLower(escapeSlash(pattern)), strings.ToLower(escapeSlash(value)))
	return err == nil && ok
}

// escapeSlash keeps path.Match's * from stopping at a slash in a model name.
func escapeSlash(s string) string { return strings.ReplaceAll(s, "/", "\x00") }

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

// FormatBytes writes a size in powers of 1000 with three digits ("10.7 GB").
func FormatBytes(n int64) string {
	v, units := float64(n), []string{"B", "kB", "MB", "GB", "TB", "PB"}
	i := 0
	for v >= 999.5 && i < len(units)-1 {
		v /= 1000
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return strconv.FormatFloat(v, 'f', max(0, 3-digits(v)), 64) + " " + units[i]
}

func digits(v float64) int {
	switch {
	case v >= 99.95:
		return 3
	case v >= 9.995:
		return 2
	}
	return 1
}

// String is the written form; "the only disk" for the zero value.
func (h DiskHint) String() string {
	var parts []string
	add := func(key, value string) {
		if value != "" {
			parts = append(parts, key+"="+value)
		}
	}
	add("name", h.Name)
	add("model", h.Model)
	add("serial", h.Serial)
	add("wwn", h.WWN)
	add("transport", h.Transport)
	if h.MinBytes > 0 {
		parts = append(parts, "size>="+strconv.FormatInt(h.MinBytes, 10))
	}
	if h.MaxBytes > 0 {
		parts = append(parts, "size<="+strconv.FormatInt(h.MaxBytes, 10))
	}
	if h.Rotational != nil {
		add("rotational", map[bool]string{true: "yes", false: "no"}[*h.Rotational])
	}
	add("pick", h.Pick)
	if len(parts) == 0 {
		return "the only disk"
	}
	return strings.Join(parts, ",")
}
