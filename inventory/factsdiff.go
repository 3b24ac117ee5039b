package inventory

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Summary is the facts in one line, for a list or a timeline.
func (f *Facts) Summary() string {
	var parts []string
	add := func(s string) {
		if s = strings.TrimSpace(s); s != "" {
			parts = append(parts, s)
		}
	}
	add(f.System.Manufacturer + " " + f.System.Product)
	threads := 0
	for _, c := range f.CPUs {
		threads += c.Threads
	}
	if threads > 0 {
		add(fmt.Sprintf("%d threads", threads))
	}
	if f.Memory.TotalBytes > 0 {
		add(FormatBytes(f.Memory.TotalBytes) + " memory")
	}
	add(fmt.Sprintf("%d disks", len(f.Disks)))
	add(fmt.Sprintf("%d NICs", len(f.NICs)))
	return strings.Join(parts, ", ")
}

// Changes lists in words what differs from older facts; nil for the first.
func (f *Facts) Changes(old *Facts) []string {
	if old == nil {
		return nil
	}
	var out []string
	out = append(out, setChanges("disk", old.diskNames(), f.diskNames())...)
	out = append(out, setChanges("NIC", old.nicNames(), f.nicNames())...)
	out = append(out, setChanges("DIMM", old.dimmNames(), f.dimmNames())...)
	out = append(out, setChanges("PCI device", old.pciNames(), f.pciNames())...)
	out = append(out, setChanges("cable", old.cables(), f.cables())...)
	if old.Memory.TotalBytes != f.Memory.TotalBytes && len(f.Memory.DIMMs) == 0 {
		out = append(out, fmt.Sprintf("memory %s, was %s", FormatBytes(f.Memory.TotalBytes), FormatBytes(old.Memory.TotalBytes)))
	}
	if old.Firmware.Version != f.Firmware.Version {
		out = append(out, fmt.Sprintf("firmware %s, was %s", f.Firmware.Version, old.Firmware.Version))
	}
	if old.Firmware.SecureBoot != f.Firmware.SecureBoot {
		out = append(out, fmt.Sprintf("Secure Boot %s, was %s", f.Firmware.SecureBoot, old.Firmware.SecureBoot))
	}
	return out
}

// setChanges names the members that went and came; the value is what tells people more.
func setChanges(what string, old, now map[string]string) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(old)) {
		if _, ok := now[key]; !ok {
			out = append(out, fmt.Sprintf("%s gone: %s", what, strings.TrimSpace(old[key])))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if _, ok := old[key]; !ok {
			out = append(out, fmt.Sprintf("%s new: %s", what, strings.TrimSpace(now[key])))
		}
	}
	return out
}

func (f *Facts) diskNames() map[string]string {
	out := map[string]string{}
	for _, d := range f.Disks {
		key := d.WWN + d.Serial
		if key == "" {
			key = d.Name
		}
		out[key] = fmt.Sprintf("%s %s %s", d.Model, d.Serial, FormatBytes(d.SizeBytes))
	}
	return out
}

func (f *Facts) nicNames() map[string]string {
	out := map[string]string{}
	for _, n := range f.NICs {
		out[string(n.MAC)] = string(n.MAC) + " " + n.Driver
	}
	return out
}

func (f *Facts) dimmNames() map[string]string {
	out := map[string]string{}
	for _, d := range f.Memory.DIMMs {
		if d.SizeBytes > 0 {
			out[d.Slot+d.Serial] = fmt.Sprintf("%s %s %s", d.Slot, FormatBytes(d.SizeBytes), d.Part)
		}
	}
	return out
}

func (f *Facts) pciNames() map[string]string {
	out := map[string]string{}
	for _, p := range f.PCI {
		out[p.Address+p.Vendor+p.Device] = fmt.Sprintf("%s %s:%s", p.Address, p.Vendor, p.Device)
	}
	return out
}

func (f *Facts) cables() map[string]string {
	out := map[string]string{}
	for _, n := range f.NICs {
		if n.Neighbour != nil {
			text := fmt.Sprintf("%s to %s port %s", n.Name, n.Neighbour.SystemName, n.Neighbour.PortID)
			out[text] = text
		}
	}
	return out
}
