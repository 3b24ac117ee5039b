package contents

import (
	"cmp"
	"slices"
)

// Diff is what changed from one version of an image to another.
type Diff struct {
	Packages []PackageChange `json:"packages"`
	Files    []FileChange    `json:"files"`
	// AddedBytes and RemovedBytes are of regular files that came, went, or changed.
	AddedBytes   int64 `json:"addedBytes"`
	RemovedBytes int64 `json:"removedBytes"`
}

// PackageChange is a package of one of the two or of both in another version; Old or New
// is empty where it is not there.
type PackageChange struct {
	Name string `json:"name"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// FileChange is a file of one of the two, or of both and different.
type FileChange struct {
	Path string `json:"path"`
	// What is "added", "removed", "content" or "mode" (owner, mode or link).
	What     string `json:"what"`
	OldBytes int64  `json:"oldBytes,omitempty"`
	NewBytes int64  `json:"newBytes,omitempty"`
}

// Compare tells two versions apart.
func Compare(oldPackages, newPackages []Package, oldFiles, newFiles []File) Diff {
	d := Diff{Packages: []PackageChange{}, Files: []FileChange{}}
	each(oldPackages, newPackages, func(p Package) string { return p.Name + ":" + p.Architecture }, func(o, n *Package) {
		if c, changed := packageChange(o, n); changed {
			d.Packages = append(d.Packages, c)
		}
	})
	each(oldFiles, newFiles, func(f File) string { return f.Path }, func(o, n *File) {
		c, changed := fileChange(o, n)
		if !changed {
			return
		}
		d.Files = append(d.Files, c)
		if c.What != "mode" {
			d.AddedBytes, d.RemovedBytes = d.AddedBytes+c.NewBytes, d.RemovedBytes+c.OldBytes
		}
	})
	return d
}

func packageChange(o, n *Package) (PackageChange, bool) {
	switch {
	case o == nil:
		return PackageChange{Name: n.Name, New: n.Version}, true
	case n == nil:
		return PackageChange{Name: o.Name, Old: o.Version}, true
	}
	return PackageChange{o.Name, o.Version, n.Version}, o.Version != n.Version
}

func fileChange(o, n *File) (FileChange, bool) {
	switch {
	case o == nil:
		return FileChange{Path: n.Path, What: "added", NewBytes: n.SizeBytes}, true
	case n == nil:
		return FileChange{Path: o.Path, What: "removed", OldBytes: o.SizeBytes}, true
	case o.SHA256 != n.SHA256:
		return FileChange{o.Path, "content", o.SizeBytes, n.SizeBytes}, true
	}
	return FileChange{o.Path, "mode", o.SizeBytes, n.SizeBytes}, *o != *n
}

// each calls f with what two lists have under the same key, in the order of keys.
func each[T any](a, b []T, key func(T) string, f func(a, b *T)) {
	index := func(list []T) map[string]*T {
		m := map[string]*T{}
		for i := range list {
			m[key(list[i])] = &list[i]
		}
		return m
	}
	old, now := index(a), index(b)
	keys := map[string]bool{}
	for k := range old {
		keys[k] = true
	}
	for k := range now {
		keys[k] = true
	}
	sorted := make([]string, 0, len(keys))
	for k := range keys {
		sorted = append(sorted, k)
	}
	slices.SortFunc(sorted, cmp.Compare[string])
	for _, k := range sorted {
		f(old[k], now[k])
	}
}
