package sim

import (
	"fmt"
	"slices"
	"strings"
)

// checkpoint puts a differencing disk on each of a machine's.
func (h *Host) checkpoint(m *machine, name string) *checkpoint {
	c := &checkpoint{id: h.guid(), name: name, parent: m.parent, created: h.tick(), disks: slices.Clone(m.disks), saved: m.state == "Saved" || m.runs() && !m.guest.integration}
	for i := range m.disks {
		m.disks[i].path = h.over(m.disks[i].path)
	}
	m.checkpoints, m.parent = append(m.checkpoints, c), c.id
	return c
}

// over makes an .avhdx on top of a disk.
func (h *Host) over(path string) string {
	stem := strings.TrimSuffix(strings.TrimSuffix(path, ".vhdx"), ".avhdx")
	stem, _, _ = strings.Cut(stem, "_")
	top := fmt.Sprintf("%s_%s.avhdx", stem, strings.ToUpper(h.guid()))
	under := h.files[key(path)].disk
	h.files[key(top)] = &file{path: top, disk: &vhd{sizeBytes: under.sizeBytes, blockBytes: under.blockBytes, id: h.guid(), parent: path, parentID: under.id}}
	return top
}

// checkpointVM is Checkpoint-VM.
func (h *Host) checkpointVM(m *machine, name string) error {
	const class = hyperV + "CheckpointVM"
	if m.checkpointType == "Disabled" || m.merging > 0 {
		return checkpointsOff.of(class, m.name, "Checkpoints have been disabled for '%s'.", m.name)
	}
	if err := checkName(class, name); err != nil {
		return err
	}
	h.checkpoint(m, name)
	return nil
}

// restore is Restore-VMSnapshot: what the machine had on top is lost.
func (h *Host) restore(m *machine, c *checkpoint) error {
	if m.runs() {
		return notOff.of(hyperV+"RestoreVMSnapshot", m.name, "The operation cannot be performed while the virtual machine is in its current state.")
	}
	for i, d := range m.disks {
		if !h.hasChild(d.path) {
			delete(h.files, key(d.path))
		}
		m.disks[i].path = h.over(c.disks[i].path)
	}
	m.parent, m.state = c.id, "Off"
	if c.saved {
		m.state = "Saved"
	}
	return nil
}

// removeCheckpoint is Remove-VMSnapshot; the merge goes on in the background.
func (h *Host) removeCheckpoint(m *machine, c *checkpoint) {
	m.checkpoints = slices.DeleteFunc(m.checkpoints, func(other *checkpoint) bool { return other == c })
	for _, other := range m.checkpoints {
		if other.parent == c.id {
			other.parent = c.parent
		}
	}
	if m.parent == c.id {
		m.parent = c.parent
	}
	m.merging = h.options.Looks
}

// merge takes away the .avhdx files that no checkpoint needs any more.
func (h *Host) merge(m *machine) {
	for i, d := range m.disks {
		path := d.path
		for f := h.files[key(path)]; f != nil && f.disk != nil && strings.HasSuffix(key(f.path), ".avhdx") && !h.kept(m, f.disk.parent); f = h.files[key(path)] {
			under := h.files[key(f.disk.parent)]
			under.disk.sizeBytes = f.disk.sizeBytes
			delete(h.files, key(f.path))
			path = under.path
		}
		m.disks[i].path = path
	}
}

// kept reports whether a checkpoint's disk is this one.
func (h *Host) kept(m *machine, path string) bool {
	return slices.ContainsFunc(m.checkpoints, func(c *checkpoint) bool {
		return slices.ContainsFunc(c.disks, func(d drive) bool { return key(d.path) == key(path) })
	})
}
