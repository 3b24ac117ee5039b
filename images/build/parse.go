package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
