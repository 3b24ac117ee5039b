package build

import (
	"archive/tar"
	"path"
	"strings"
)

// remove takes out a path and all below it. Another name of a removed file keeps it.
func (t *tree) remove(name string) {
	e := t.entries[name]
	if e == nil || name == "." {
		return
	}
	gone := []string{name}
	if e.kind == tar.TypeDir {
		for p := range t.entries {
			if strings.HasPrefix(p, name+"/") {
				gone = append(gone, p)
			}
		}
	}
	removed := map[string]*entry{}
	for _, p := range gone {
		removed[p] = t.entries[p]
		delete(t.entries, p)
	}
	for p, e := range removed {
		if t.linked[p] {
			t.rehome(p, e)
		}
	}
}

// rehome makes the first of the other names of a removed file its place.
func (t *tree) rehome(name string, e *entry) {
	first := ""
	for _, p := range sortedKeys(t.entries) {
		switch x := t.entries[p]; {
		case x.kind != tar.TypeLink || x.link != name:
		case first == "":
			first, t.entries[p] = p, e
		default:
			x.link, t.linked[first] = first, true
		}
	}
	delete(t.linked, name)
}

// glob removes what fits a shell pattern, of a path without leading slash.
func (t *tree) glob(pattern string) error {
	var found []string
	for p := range t.entries {
		if ok, err := path.Match(pattern, p); err != nil {
			return err
		} else if ok {
			found = append(found, p)
		}
	}
	for _, p := range found {
		t.remove(p)
	}
	return nil
}
