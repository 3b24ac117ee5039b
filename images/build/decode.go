package build

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// decode fills a recipe, and notes where each key was written. Keys that are unknown
// and values of another type are problems.
func (p *parser) decode(root *yaml.Node, r *Recipe) {
	p.compare(root, reflect.TypeFor[Recipe](), "", r.places)
	if p.problems != nil {
		return
	}
	if err := root.Decode(r); err != nil {
		p.report(p.files[root], "%s", YAMLText(err))
	}
}

// compare checks the shape of a node against a Go type.
func (p *parser) compare(n *yaml.Node, t reflect.Type, key string, places map[string]string) {
	places[key] = p.at(n)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	wrong := func(want string) { p.report(p.at(n), "key %s: it is %s, want %s", key, described(n), want) }
	switch t.Kind() {
	case reflect.Struct:
		if n.Kind != yaml.MappingNode {
			wrong("a mapping with " + strings.Join(sortedKeys(fieldsOf(t)), ", "))
			return
		}
		p.compareStruct(n, t, key, places)
	case reflect.Map:
		if n.Kind != yaml.MappingNode {
			wrong("a mapping of names to text")
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			p.compare(n.Content[i+1], t.Elem(), key+"."+n.Content[i].Value, places)
		}
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			wrong("a list")
			return
		}
		for i, child := range n.Content {
			p.compare(child, t.Elem(), fmt.Sprintf("%s[%d]", key, i), places)
		}
	default:
		if want := scalar(n, t); want != "" {
			wrong(want)
		}
	}
}

// described names what stands where another thing should.
func described(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "empty"
	}
	return fmt.Sprintf("%q", n.Value)
}

// scalar says what is wanted in place of a node, empty when it fits.
func scalar(n *yaml.Node, t reflect.Type) string {
	plain := n.Kind == yaml.ScalarNode
	switch t.Kind() {
	case reflect.String:
		if !plain || n.ShortTag() == "!!null" {
			return "text"
		}
	case reflect.Bool:
		if !plain || n.ShortTag() != "!!bool" {
			return "true or false"
		}
	default:
		if !plain || n.ShortTag() != "!!int" || n.Decode(reflect.New(t).Interface()) != nil {
			return "a whole number"
		}
	}
	return ""
}

func (p *parser) compareStruct(n *yaml.Node, t reflect.Type, key string, places map[string]string) {
	fields := fieldsOf(t)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		field, ok := fields[name.Value]
		if !ok {
			where := ""
			if key != "" {
				where = " in " + key
			}
			p.report(p.at(name), "unknown key %s%s%s", name.Value, where, didYouMean(name.Value, sortedKeys(fields)))
			continue
		}
		p.compare(n.Content[i+1], field, strings.TrimPrefix(key+"."+name.Value, "."), places)
	}
}

// fieldsOf lists the YAML keys of a struct and their types.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for f := range t.Fields() {
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			maps.Copy(fields, fieldsOf(f.Type))
		case name != "":
			fields[name] = f.Type
		}
	}
	return fields
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// didYouMean is " (did you mean x?)" when one of the words is near, else what there is.
func didYouMean(word string, words []string) string {
	best, nearest := max(min(2, len(word)/2), len(word)/3)+1, ""
	for _, w := range words {
		if d := editDistance(strings.ToLower(word), strings.ToLower(w)); d < best {
			best, nearest = d, w
		}
	}
	if nearest != "" {
		return " (did you mean " + nearest + "?)"
	}
	if len(words) == 0 {
		return ""
	}
	return " (there are " + strings.Join(words, ", ") + ")"
}

// editDistance counts insertions, deletions and replacements (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// YAMLText is what yaml says of a text, in words for people.
func YAMLText(err error) string {
	if errors.Is(err, io.EOF) {
		return "it is empty"
	}
	return strings.Replace(strings.TrimPrefix(err.Error(), "yaml: "), "found character that cannot start any token",
		"a tab, or another character that nothing can begin with (indent by spaces)", 1)
}
