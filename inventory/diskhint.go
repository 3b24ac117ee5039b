package inventory

import (
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

// ParseDiskHint reads the written form. Every value but a size may hold the wildcards *
// and ?. An unknown key, a key without a value or given twice, and a bad value are
// ErrInvalid and name what is allowed: a hint never means more disks than it says.
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

// set takes one condition; a word by itself is a disk's name.
func (h *DiskHint) set(part string) error {
	for _, op := range []string{">=", "<=", "="} {
		key, value, ok := strings.Cut(part, op)
		if ok {
			return h.setKey(strings.TrimSpace(key), op, strings.TrimSpace(value))
		}
	}
	if strings.Contains(part, " ") {
		return Invalid("disk hint %q (want key=value)", part)
	}
	return h.setName(part)
}

func (h *DiskHint) setKey(key, op, value string) error {
	if key == "size" {
		return h.setSize(op, value)
	}
	if op != "=" {
		return Invalid("disk hint %s%s%s (only size takes %s)", key, op, value, op)
	}
	switch key {
	case "name":
		return h.setName(value)
	case "model":
		return setOnce(&h.Model, key, value)
	case "serial":
		return setOnce(&h.Serial, key, value)
	case "wwn":
		return setOnce(&h.WWN, key, value)
	case "transport":
		return setOnce(&h.Transport, key, value)
	case "rotational":
		return h.setRotational(value)
	case "pick":
		if value != "smallest" && value != "largest" {
			return Invalid("disk hint pick=%q (want smallest or largest)", value)
		}
		return setOnce(&h.Pick, key, value)
	}
	return Invalid("disk hint key %q (want name, model, serial, wwn, transport, size, rotational or pick)", key)
}

// setOnce refuses an empty value: "serial=$SERIAL" with an unset variable must not mean
// any disk.
func setOnce(field *string, key, value string) error {
	if value == "" {
		return Invalid("disk hint %s= has no value", key)
	}
	if *field != "" {
		return Invalid("disk hint: %s is given twice", key)
	}
	*field = value
	return nil
}

func (h *DiskHint) setName(value string) error {
	name := strings.TrimPrefix(value, "/dev/")
	if strings.Contains(name, "/") {
		return Invalid("disk hint name %q (want the kernel's name, like sda; or use serial= or wwn=)", name)
	}
	return setOnce(&h.Name, "name", name)
}

func (h *DiskHint) setSize(op, value string) error {
	n, err := ParseBytes(value)
	if err != nil {
		return err
	}
	if n == 0 {
		return Invalid("disk hint size%s%s (want more than 0)", op, value)
	}
	if (op != "<=" && h.MinBytes != 0) || (op != ">=" && h.MaxBytes != 0) {
		return Invalid("disk hint: size%s is given twice", op)
	}
	if op != "<=" {
		h.MinBytes = n
	}
	if op != ">=" {
		h.MaxBytes = n
	}
	return nil
}

func (h *DiskHint) setRotational(value string) error {
	if h.Rotational != nil {
		return Invalid("disk hint: rotational is given twice")
	}
	var yes bool
	switch strings.ToLower(value) {
	case "yes", "true", "1":
		yes = true
	case "no", "false", "0":
	default:
		return Invalid("disk hint rotational=%q (want yes or no)", value)
	}
	h.Rotational = &yes
	return nil
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
