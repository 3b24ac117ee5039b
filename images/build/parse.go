package build

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"ingot/images/recipes"
	"ingot/inventory"
)

// Bounds of a recipe, and of a chain of extends.
const (
	maxRecipeBytes   = 1 << 20
	maxBesideBytes   = 16 << 20
	maxExtends       = 8
	maxProblemsShown = 10
)

// ParseOptions says where a recipe finds what it names.
type ParseOptions struct {
	// Beside has the files beside the recipe; nil refuses them.
	Beside fs.FS
	// Dir is the path of that folder, for large inputs; may be empty.
	Dir string
	// Set gives variables a value.
	Set map[string]string
}

// Recipes returns the names of the embedded recipes.
func Recipes() []string {
	entries, err := recipes.Files.ReadDir(".")
	if err != nil {
		panic("build: " + err.Error())
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// EmbeddedRecipe returns an embedded recipe, or inventory.ErrNotFound.
func EmbeddedRecipe(name string) (Recipe, error) { return EmbeddedRecipeWith(name, nil) }

// EmbeddedRecipeWith is EmbeddedRecipe with values for its variables.
func EmbeddedRecipeWith(name string, set map[string]string) (Recipe, error) {
	document, err := recipes.Files.ReadFile(name + ".yaml")
	if err != nil {
		return Recipe{}, fmt.Errorf("%w; there are %s", inventory.NotFound("recipe", name), strings.Join(Recipes(), ", "))
	}
	return Parse(name+".yaml", document, ParseOptions{Beside: recipes.Files, Set: set})
}

// LoadRecipe reads a recipe from a file, and the files beside it that it names.
func LoadRecipe(file string, set map[string]string) (Recipe, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return Recipe{}, fmt.Errorf("read recipe %s: %w", file, err)
	}
	root, err := os.OpenRoot(filepath.Dir(abs))
	if err != nil {
		return Recipe{}, fmt.Errorf("read recipe %s: %w", file, err)
	}
	defer root.Close()
	document, err := readBeside(root.FS(), filepath.Base(abs), maxRecipeBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return Recipe{}, inventory.NotFound("recipe", file)
	} else if err != nil {
		return Recipe{}, fmt.Errorf("read recipe %s: %w", file, err)
	}
	return Parse(filepath.Base(abs), document, ParseOptions{Beside: root.FS(), Dir: filepath.Dir(abs), Set: set})
}

// ParseRecipe reads a recipe that names no files beside it.
func ParseRecipe(file string, document []byte) (Recipe, error) {
	return Parse(file, document, ParseOptions{})
}

// Parse reads a recipe. What is wrong is an inventory.ErrInvalid that names, for each
// problem, the file, the line, the key, the value and what would be right.
func Parse(file string, document []byte, o ParseOptions) (Recipe, error) {
	p := &parser{opts: o, files: map[*yaml.Node]string{}}
	root := p.load(file, document, nil)
	r := Recipe{places: map[string]string{}, dir: o.Dir}
	if p.problems == nil {
		p.substitute(root)
	}
	if p.problems == nil {
		p.decode(root, &r)
	}
	if p.problems == nil {
		p.normalise(&r)
	}
	if p.problems == nil {
		for _, problem := range r.problems() {
			p.report(placeOf(r.places, problem.key, file), "key %s: %s", problem.key, problem.text)
		}
	}
	if p.problems == nil {
		return r, nil
	}
	if n := len(p.problems); n > maxProblemsShown {
		p.problems = append(p.problems[:maxProblemsShown], fmt.Sprintf("and %d more", n-maxProblemsShown))
	}
	return Recipe{}, inventory.Invalid("recipe %s", strings.Join(p.problems, "; "))
}

// placeOf is where a key was written, or the nearest one around it.
func placeOf(places map[string]string, key, file string) string {
	for key != "" {
		if place := places[key]; place != "" {
			return place
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return file
}

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
		p.report(file, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
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
