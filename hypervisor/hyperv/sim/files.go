package sim

import (
	"slices"
	"strings"
)

// file is one of the host's. Windows does not tell upper case from lower case.
type file struct {
	path     string
	data     []byte
	disk     *vhd
	readOnly bool
	sparse   bool
	squeezed bool
	// merging: in use for as many looks.
	merging int
}

func key(path string) string { return strings.ToLower(path) }

func dirOf(path string) string { return path[:max(0, strings.LastIndex(path, `\`))] }

func baseOf(path string) string { return path[strings.LastIndex(path, `\`)+1:] }

// mkdir is New-Item -ItemType Directory -Force.
func (h *Host) mkdir(path string) error {
	if h.readOnly {
		return diskReadOnly.of("", path, "Access to the path is denied.")
	}
	for ; len(path) > 2; path = dirOf(path) {
		if _, there := h.folders[key(path)]; !there {
			h.folders[key(path)] = path
		}
	}
	return nil
}

// exists is Test-Path -LiteralPath.
func (h *Host) exists(path string) bool {
	_, folder := h.folders[key(path)]
	return folder || h.files[key(path)] != nil
}

// put makes a file of bytes, which may not be there.
func (h *Host) put(path string, data []byte) (*file, error) {
	if _, there := h.folders[key(dirOf(path))]; !there {
		return nil, vhdFolder.of("DirectoryNotFoundException", path, "Could not find a part of the path.")
	}
	if h.readOnly {
		return nil, diskReadOnly.of("", path, "Access to the path is denied.")
	}
	f := &file{path: path, data: data, squeezed: h.squeezed}
	h.files[key(path)] = f
	return f, nil
}

// below are the files in a folder and its folders.
func (h *Host) below(folder string) []*file {
	var all []*file
	for name, f := range h.files {
		if strings.HasPrefix(name, key(folder)+`\`) {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b *file) int { return strings.Compare(a.path, b.path) })
	return all
}

// removeFile is Remove-Item -Force of a file.
func (h *Host) removeFile(path string) error {
	f := h.files[key(path)]
	if f == nil {
		return nil
	}
	if h.inUse(f) {
		return fileInUse.of(psCmd+"RemoveItemCommand", path, "The process cannot access the file because it is being used by another process.")
	}
	delete(h.files, key(path))
	return nil
}

// removeTree is Remove-Item -Recurse -Force of a folder: what comes before a file in use is
// gone.
func (h *Host) removeTree(folder string) error {
	for _, f := range h.below(folder) {
		if err := h.removeFile(f.path); err != nil {
			return err
		}
	}
	for name := range h.folders {
		if name == key(folder) || strings.HasPrefix(name, key(folder)+`\`) {
			delete(h.folders, name)
		}
	}
	return nil
}

// inUse reports a file that a running machine has open, itself or as a parent, one that is
// being merged, and the configuration of a machine that is there.
func (h *Host) inUse(f *file) bool {
	if f.merging > 0 {
		return true
	}
	for _, m := range h.machines {
		if key(m.configFile()) == key(f.path) || m.runs() && h.standsOn(m.disks, f.path) {
			return true
		}
	}
	return false
}

// standsOn reports whether one of the disks is a file or stands on it.
func (h *Host) standsOn(disks []drive, path string) bool {
	return slices.ContainsFunc(disks, func(d drive) bool {
		return slices.ContainsFunc(h.chain(d.path), func(p string) bool { return key(p) == key(path) })
	})
}

// Put makes a file at the host, as a person would.
func (h *Host) Put(path string, data []byte) {
	h.set(func() {
		h.mkdir(dirOf(path))
		h.files[key(path)] = &file{path: path, data: data}
	})
}

// Touch changes a virtual disk, as opening it for writing does: what stands on it is lost.
func (h *Host) Touch(path string) {
	h.set(func() {
		if f := h.files[key(path)]; f != nil {
			if d, err := h.open(f); err == nil {
				d.id = h.guid()
			}
		}
	})
}

// Remove takes a file away, as a person would.
func (h *Host) Remove(path string) { h.set(func() { delete(h.files, key(path)) }) }

// SetSparse makes a file sparse, as qemu-img's are when they are copied with tar or robocopy.
func (h *Host) SetSparse(path string) {
	h.set(func() {
		if f := h.files[key(path)]; f != nil {
			f.sparse = true
		}
	})
}
