package build

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"ingot/images/recipes"
)

// parser collects the problems of one recipe and of what it extends.
type parser struct {
	opts     ParseOptions
	files    map[*yaml.Node]string // the file of each node
	problems []string
}

func (p *parser) report(place, format string, args ...any) {
	p.problems = append(p.problems, place+": "+fmt.Sprintf(format, args...))
}

func (p *parser) at(n *yaml.Node) string { return fmt.Sprintf("%s: line %d", p.files[n], n.Line) }

// load reads one document and merges it over what it extends. chain is the files that
// led here. It returns nil after a problem.
func (p *parser) load(file string, document []byte, chain []string) *yaml.Node {
	before := len(p.problems)
	root := p.read(file, document)
	if root == nil || len(p.problems) > before {
		return nil
	}
	extends := value(root, "extends")
	if extends == nil {
		return root
	}
	name, base, err := p.find(extends.Value)
	switch chain := append(chain, file); {
	case err != nil:
		p.report(p.at(extends), "key extends: %v", err)
	case slices.Contains(chain, name):
		p.report(p.at(extends), "key extends: %s extends itself: %s", name, strings.Join(append(chain, name), " extends "))
	case len(chain) > maxExtends:
		p.report(p.at(extends), "key extends: more than %d recipes extend each other", maxExtends)
	default:
		if under := p.load(name, base, chain); under != nil {
			return p.merge(under, root)
		}
	}
	return nil
}

// find reads the recipe that extends names: a file beside, or an embedded one.
func (p *parser) find(name string) (file string, document []byte, err error) {
	if strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") {
		document, err = readBeside(p.opts.Beside, name, maxRecipeBytes)
		return path.Clean(name), document, err
	}
	document, err = recipes.Files.ReadFile(name + ".yaml")
	if err != nil {
		return "", nil, fmt.Errorf("no recipe is named %q: give one of %s, or a file beside this one, like %s.yaml", name, strings.Join(Recipes(), ", "), name)
	}
	return name + ".yaml", document, nil
}

// readBeside reads a file that a recipe names.
func readBeside(beside fs.FS, name string, limit int64) ([]byte, error) {
	if beside == nil {
		return nil, fmt.Errorf("%q: this recipe came as text, without the files beside it", name)
	}
	if !fs.ValidPath(path.Clean(name)) {
		return nil, fmt.Errorf("%q is not a file beside the recipe or in a folder there", name)
	}
	f, err := beside.Open(path.Clean(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	return data, err
}

// read parses one YAML document into a mapping.
func (p *parser) read(file string, document []byte) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(document))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		p.report(file, "%s", YAMLText(err))
		return nil
	}
	if err := dec.Decode(new(yaml.Node)); err != io.EOF {
		p.report(file, "more than one YAML document")
		return nil
	}
	root := doc.Content[0]
	p.own(file, root)
	if root.Kind != yaml.MappingNode {
		p.report(p.at(root), "a recipe is a mapping of keys, like name: debian-12")
		return nil
	}
	return root
}

// own notes the file of each node, and refuses what one recipe in two files can't have.
func (p *parser) own(file string, n *yaml.Node) {
	p.files[n] = file
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		p.report(p.at(n), "anchors and aliases are not for recipes: use variables or extends")
		return
	}
	seen := map[string]int{}
	for i, child := range n.Content {
		p.own(file, child)
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			continue
		}
		if line, twice := seen[child.Value]; twice {
			p.report(p.at(child), "key %s: it was given on line %d already", child.Value, line)
		}
		seen[child.Value] = child.Line
	}
}

// value returns the value of a key, or nil.
func value(mapping *yaml.Node, key string) *yaml.Node {
	if i := keyIndex(mapping, key); i >= 0 {
		return mapping.Content[i+1]
	}
	return nil
}
