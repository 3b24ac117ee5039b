// Package query names sets of machines.
//
// A set is terms joined by commas, all of which must hold: KEY=VALUE, KEY!=VALUE, or a
// name alone. A value may have the wildcards of path.Match (* ? [a-z]) and alternatives
// joined by "|": "kind=vm,name=web-*|db-*,state!=rescue".
package query

import (
	"path"
	"slices"
	"strings"

	"ingot/inventory"
)

// Set is a parsed set of machines.
type Set struct{ terms []term }

type term struct {
	key    string
	not    bool
	values []string
}

// keys are what can be asked of a machine.
var keys = map[string]func(*inventory.Machine) string{
	"name":  func(m *inventory.Machine) string { return m.Name },
	"kind":  func(m *inventory.Machine) string { return string(m.Kind) },
	"state": func(m *inventory.Machine) string { return string(m.Status.State) },
	"image": imageName,
	"host": func(m *inventory.Machine) string {
		if m.Spec.VM == nil {
			return ""
		}
		return m.Spec.VM.Host
	},
	"rack": func(m *inventory.Machine) string {
		if m.Position == nil {
			return ""
		}
		return m.Position.Rack
	},
	"firmware": func(m *inventory.Machine) string { return string(m.Status.Firmware) },
}

func imageName(m *inventory.Machine) string {
	ref, err := inventory.ParseImageRef(m.Spec.Image)
	if err != nil {
		return ""
	}
	return ref.Name
}

// Keys are the keys that a set can use, sorted.
func Keys() []string {
	var all []string
	for k := range keys {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// Parse reads a set. It is inventory.ErrInvalid for anything else, and for none.
func Parse(text string) (Set, error) {
	var s Set
	for part := range strings.SplitSeq(text, ",") {
		t, err := parseTerm(strings.TrimSpace(part))
		if err != nil {
			return Set{}, err
		}
		s.terms = append(s.terms, t)
	}
	return s, nil
}

func parseTerm(part string) (term, error) {
	key, value, found := strings.Cut(part, "=")
	if !found {
		key, value = "name", part
	}
	key, not := strings.CutSuffix(key, "!")
	if keys[key] == nil {
		return term{}, inventory.Invalid("set: unknown key %q in %q (want one of %s)", key, part, strings.Join(Keys(), ", "))
	}
	t := term{key, not, strings.Split(value, "|")}
	for _, v := range t.values {
		if _, err := path.Match(v, ""); err != nil || v == "" {
			return term{}, inventory.Invalid("set: %q is no value (want KEY=VALUE with the wildcards * ? [a-z], or a name)", part)
		}
	}
	return t, nil
}

// Has reports whether a machine is in the set.
func (s Set) Has(m *inventory.Machine) bool {
	return !slices.ContainsFunc(s.terms, func(t term) bool { return t.has(keys[t.key](m)) == t.not })
}

func (t term) has(value string) bool {
	return slices.ContainsFunc(t.values, func(v string) bool {
		fits, _ := path.Match(v, value) // the pattern was checked
		return fits
	})
}
