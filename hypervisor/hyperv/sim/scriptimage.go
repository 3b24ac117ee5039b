package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
)

// The scripts that work on images, but for the one that fetches.

// isImage is the form of a whole image's file.
var isImage = regexp.MustCompile(`^[0-9a-f]{64}\.vhdx$`)

const partSuffix = ".part.vhdx"

func runFinishImage(r *run, q struct {
	Partial, Image string
	Lock           string
	SizeBytes      int64
	Sha256         string
	DiskBytes      int64
}) object {
	r.lock(q.Lock)
	var there bool
	var size int64
	r.read(func() error { there = r.h.exists(q.Image); return nil })
	if !there {
		r.finish(q.Partial, q.Image, q.SizeBytes, q.Sha256, q.DiskBytes)
	}
	r.read(func() error {
		d, err := r.h.getVHD(q.Image)
		if err == nil {
			size = d.sizeBytes
		}
		return err
	})
	return object{"SizeBytes": size}
}

func (r *run) finish(partial, image string, size int64, sum string, diskBytes int64) {
	var f *file
	bad := ""
	r.read(func() error {
		if f = r.h.files[key(partial)]; f == nil {
			return vhdMissing.of(psCmd+"GetItemCommand", partial, "Cannot find path.")
		}
		bad = spoilt(f, size, sum)
		return nil
	})
	if r.err == nil && bad == "" && f.sparse {
		r.change("fsutil.exe", func() error { f.sparse = false; return nil })
	}
	r.read(func() error {
		if bad == "" {
			bad = r.h.unfit(f, diskBytes)
		}
		return nil
	})
	if bad != "" {
		r.change("Remove-Item", func() error { return r.h.removeFile(partial) })
		r.read(func() error { return own(bad, "InvalidData", partial) })
	}
	r.change("Set-ItemProperty", func() error { f.readOnly = true; return nil })
	r.change("Move-Item", func() error {
		delete(r.h.files, key(partial))
		f.path = image
		r.h.files[key(image)] = f
		return nil
	})
}

// spoilt is the fault of what arrived, empty for none.
func spoilt(f *file, size int64, sum string) string {
	has := sha256.Sum256(f.data)
	switch {
	case int64(len(f.data)) != size:
		return "IngotWrongLength"
	case !strings.EqualFold(hex.EncodeToString(has[:]), sum):
		return "IngotWrongHash"
	case f.squeezed:
		return "IngotCompressed"
	}
	return ""
}

// unfit is the fault of a disk that should be an image's, empty for none.
func (h *Host) unfit(f *file, diskBytes int64) string {
	d, err := h.open(f)
	switch {
	case err != nil: // Test-VHD
		return "IngotBroken"
	case d.parent != "":
		return "IngotHasParent"
	case d.sizeBytes < diskBytes:
		return "IngotWrongDisk"
	}
	return ""
}

func runRemoveImage(r *run, q struct{ Image, Folder, Images, Stem, Lock string }) object {
	r.lock(q.Lock)
	users := []string{}
	r.read(func() error {
		if r.h.files[key(q.Image)] == nil {
			return r.h.allowed("GetVM")
		}
		users = append(users, r.h.usersOf(q.Image, q.Folder)...)
		return r.h.allowed("GetVM")
	})
	if r.err != nil || len(users) > 0 {
		return object{"UsedBy": users}
	}
	names := []string{q.Image}
	r.read(func() error {
		for _, f := range r.h.below(q.Images) {
			if name := baseOf(f.path); strings.HasPrefix(name, q.Stem) && strings.HasSuffix(name, partSuffix) {
				names = append(names, f.path)
			}
		}
		return nil
	})
	for _, name := range names {
		if there := r.has(name); there {
			r.change("Remove-Item", func() error { return r.h.removeFile(name) })
		}
	}
	return object{"UsedBy": users}
}

// usersOf are the disks, of machines, of checkpoints and in a folder, that stand on an image.
func (h *Host) usersOf(image, folder string) []string {
	paths := map[string]bool{}
	for _, m := range h.machines {
		for _, d := range m.disks {
			paths[d.path] = true
		}
		for _, c := range m.checkpoints {
			for _, d := range c.disks {
				paths[d.path] = true
			}
		}
	}
	for _, f := range h.below(folder) {
		paths[f.path] = true
	}
	var users []string
	for path := range paths {
		if key(path) != key(image) && !strings.HasSuffix(path, partSuffix) && h.files[key(path)] != nil && slices.Contains(h.chain(path), image) {
			users = append(users, path)
		}
	}
	slices.Sort(users)
	return users
}

// has is Test-Path.
func (r *run) has(path string) (there bool) {
	r.read(func() error { there = r.h.exists(path); return nil })
	return there
}
