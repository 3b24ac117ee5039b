package build

import (
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// merge lays one mapping over another: mappings merge, lists append, all else
// overrides.
func (p *parser) merge(under, over *yaml.Node) *yaml.Node {
	for i := 0; i+1 < len(over.Content); i += 2 {
		key, v := over.Content[i], over.Content[i+1]
		at := keyIndex(under, key.Value)
		switch {
		case at < 0:
			under.Content = append(under.Content, key, v)
		case v.Kind == yaml.MappingNode && under.Content[at+1].Kind == yaml.MappingNode:
			p.merge(under.Content[at+1], v)
		case v.Kind == yaml.SequenceNode && under.Content[at+1].Kind == yaml.SequenceNode:
			p.extendList(under.Content[at+1], v)
		default:
			under.Content[at], under.Content[at+1] = key, v
		}
	}
	return under
}

// keyIndex is where a key is in a mapping's content, or -1.
func keyIndex(mapping *yaml.Node, key string) int {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return i
		}
	}
	return -1
}

// extendList appends a list. A "-word" in it takes the word out of what is there.
func (p *parser) extendList(under, over *yaml.Node) {
	for _, item := range over.Content {
		word, remove := strings.CutPrefix(item.Value, "-")
		if item.Kind != yaml.ScalarNode || !remove {
			under.Content = append(under.Content, item)
			continue
		}
		kept := slices.DeleteFunc(slices.Clone(under.Content), func(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Value == word })
		if len(kept) == len(under.Content) {
			p.report(p.at(item), "%q takes out %s, which is not in the list that this one extends", item.Value, word)
		}
		under.Content = kept
	}
}

// variable is ${name}, or $${ for the two characters ${.
var variable = regexp.MustCompile(`\$\$\{|\$\{([^}]*)\}?`)

var variableName = regexp.MustCompile(`^[a-z][A-Za-z0-9_]*$`)

// substitute puts the values of variables into all strings of the recipe.
func (p *parser) substitute(root *yaml.Node) {
	values, unused := map[string]string{}, map[string]bool{}
	for name := range p.opts.Set {
		unused[name] = true
	}
	defined := value(root, "variables")
	if defined != nil && defined.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(defined.Content); i += 2 {
			name, v := defined.Content[i], defined.Content[i+1]
			if !variableName.MatchString(name.Value) {
				p.report(p.at(name), "key variables: %q is not a name like mirrorHost: a lower-case letter, then letters, digits and _", name.Value)
			}
			values[name.Value] = v.Value
			if set, ok := p.opts.Set[name.Value]; ok {
				values[name.Value] = set
				delete(unused, name.Value)
			}
		}
	}
	for _, name := range sortedKeys(unused) {
		place := p.files[root]
		if defined != nil {
			place = p.at(defined)
		}
		p.report(place, "--set %s: the recipe has no such variable%s", name, didYouMean(name, sortedKeys(values)))
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if key := root.Content[i].Value; key != "variables" && key != "extends" {
			p.fill(root.Content[i+1], values)
		}
	}
}

// fill replaces the variables below a node.
func (p *parser) fill(n *yaml.Node, values map[string]string) {
	if n.Kind != yaml.ScalarNode {
		for i, child := range n.Content {
			if n.Kind != yaml.MappingNode || i%2 == 1 {
				p.fill(child, values)
			}
		}
		return
	}
	filled := variable.ReplaceAllStringFunc(n.Value, func(found string) string {
		if found == "$${" {
			return "${"
		}
		name := strings.TrimSuffix(strings.TrimPrefix(found, "${"), "}")
		v, ok := values[name]
		if !ok {
			p.report(p.at(n), "no variable is named %q%s; for the characters ${ themselves write $${", name, didYouMean(name, sortedKeys(values)))
		}
		return v
	})
	if filled == n.Value {
		return
	}
	if whole := variable.FindString(n.Value); whole == n.Value {
		n.Style, n.Tag = 0, "" // a number may be a variable, quoted or not
	}
	n.Value = filled
}
