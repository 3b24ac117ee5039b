package sim

import (
	"strings"
)

// vhd is a virtual disk.
type vhd struct {
	sizeBytes, blockBytes int64
	id                    string
	// parent and parentID of a differencing disk, the latter as it was when it was made.
	parent, parentID string
}

const (
	vhdStep = 4 << 10
	vhdMin  = 3 << 20
	vhdMax  = 64 << 40
)

// open reads a file as a virtual disk, without its parents.
func (h *Host) open(f *file) (*vhd, error) {
	const class = vhdCmd + "GetVhd"
	if ending := key(f.path); !strings.HasSuffix(ending, ".vhdx") && !strings.HasSuffix(ending, ".avhdx") && !strings.HasSuffix(ending, ".vhd") {
		return nil, vhdUnknown.of(class, f.path, "A virtual disk support provider for the specified file was not found.")
	}
	if f.sparse || f.squeezed {
		return nil, vhdSqueezed.of(class, f.path, "The requested operation could not be completed due to a virtual disk system limitation.")
	}
	if f.disk == nil {
		head, err := parse(f.data)
		if err != nil {
			return nil, vhdBroken.of(class, f.path, "The file is not a virtual disk.")
		}
		f.disk = &vhd{sizeBytes: head.sizeBytes, blockBytes: head.blockBytes, id: head.id}
		if head.hasParent {
			f.disk.parent = "?"
		}
	}
	return f.disk, nil
}

// getVHD is Get-VHD -Path.
func (h *Host) getVHD(path string) (*vhd, error) {
	f := h.files[key(path)]
	if f == nil {
		return nil, vhdMissing.of(vhdCmd+"GetVhd", path, "The system cannot find the file specified.")
	}
	return h.open(f)
}

// testVHD is Test-VHD -Path, which opens the parents too.
func (h *Host) testVHD(path string) error {
	d, err := h.getVHD(path)
	if err != nil || d.parent == "" {
		return err
	}
	parent := h.files[key(d.parent)]
	if parent == nil {
		return parentMissing.of(vhdCmd+"TestVhd", path, "The parent virtual hard disk %s is missing.", d.parent)
	}
	under, err := h.open(parent)
	switch {
	case err != nil:
		return err
	case under.id != d.parentID:
		return parentChanged.of(vhdCmd+"TestVhd", path, "The chain of virtual hard disks is corrupted: the identifiers do not match.")
	}
	return h.testVHD(d.parent)
}

// chain is the files that a disk stands on, its own first.
func (h *Host) chain(path string) []string {
	var all []string
	for path != "" && len(all) < 100 {
		all = append(all, path)
		f := h.files[key(path)]
		if f == nil || f.disk == nil {
			return all
		}
		path = f.disk.parent
	}
	return all
}

// newVHD is New-VHD, with a parent -Differencing and else -Dynamic.
func (h *Host) newVHD(path, parent string, size, block int64) error {
	const class = vhdCmd + "NewVhd"
	if h.files[key(path)] != nil {
		return vhdExists.of(class, path, "The file exists.")
	}
	d := &vhd{sizeBytes: size, blockBytes: block, id: h.guid()}
	if parent == "" && (size%vhdStep != 0 || size < vhdMin || size > vhdMax) {
		return vhdSize.of(class, path, "One or more arguments are invalid.")
	}
	if parent != "" {
		under, err := h.getVHD(parent)
		if err != nil {
			return err
		}
		if strings.HasSuffix(key(parent), ".avhdx") {
			return parentCheck.of(class, path, "The virtual hard disk type is not valid.")
		}
		d.sizeBytes, d.blockBytes, d.parent, d.parentID = under.sizeBytes, under.blockBytes, parent, under.id
	}
	if _, there := h.folders[key(dirOf(path))]; !there {
		return vhdFolder.of(class, path, "The system cannot find the path specified.")
	}
	f, err := h.put(path, nil)
	if err != nil {
		return err
	}
	f.disk = d
	if f.squeezed {
		delete(h.files, key(path))
		return vhdSqueezed.of(class, path, "The requested operation could not be completed due to a virtual disk system limitation.")
	}
	return nil
}

// resizeVHD is Resize-VHD -SizeBytes.
func (h *Host) resizeVHD(path string, size int64) error {
	const class = vhdCmd + "ResizeVhd"
	d, err := h.getVHD(path)
	switch {
	case err != nil:
		return err
	case size%vhdStep != 0 || size > vhdMax || size < d.sizeBytes:
		return vhdSize.of(class, path, "One or more arguments are invalid.")
	case h.hasChild(path) || h.busyOnIDE(path):
		return vhdInUse.of(class, path, "The process cannot access the file because it is being used by another process.")
	}
	d.sizeBytes = size
	return nil
}

func (h *Host) hasChild(path string) bool {
	for _, f := range h.files {
		if f.disk != nil && key(f.disk.parent) == key(path) {
			return true
		}
	}
	return false
}

func (h *Host) busyOnIDE(path string) bool {
	for _, m := range h.machines {
		for _, d := range m.disks {
			if m.runs() && d.controller == "IDE" && key(d.path) == key(path) {
				return true
			}
		}
	}
	return false
}
