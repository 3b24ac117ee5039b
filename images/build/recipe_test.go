package build_test

import (
	"errors"
	"strings"
	"testing"

	"ingot/images/build"
	"ingot/inventory"
)

func TestEmbeddedRecipes(t *testing.T) {
	if len(build.Recipes()) < 2 {
		t.Fatalf("recipes: %v", build.Recipes())
	}
	for _, name := range build.Recipes() {
		r, err := build.EmbeddedRecipe(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if r.Name != name {
			t.Errorf("recipe %s is named %s", name, r.Name)
		}
	}
	if _, err := build.EmbeddedRecipe("none"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("got %v, want not found", err)
	}
}

const goodRecipe = `name: x
system: debian
release: bookworm
mirror: http://mirror.example.org/debian
components: [main]
sizeMiB: 1024
packages: [linux-image-amd64]
`

func TestParseRecipe(t *testing.T) {
	r, err := build.ParseRecipe("x.yaml", []byte(goodRecipe))
	if err != nil {
		t.Fatal(err)
	}
	same, err := build.ParseRecipe("y.yaml", []byte("# a comment\n"+goodRecipe))
	if err != nil {
		t.Fatal(err)
	}
	if r.Digest() != same.Digest() {
		t.Error("a comment changes the digest")
	}
	same.SizeMiB++
	if r.Digest() == same.Digest() {
		t.Error("the size does not change the digest")
	}
}

func TestParseRecipeRefuses(t *testing.T) {
	for _, test := range []struct{ name, old, new, want string }{
		{"unknown key", "packages:", "pakages:", "line 7"},
		{"wrong type", "sizeMiB: 1024", "sizeMiB: big", "line 6"},
		{"bad name", "name: x", "name: X/../y", "name"},
		{"unknown system", "system: debian", "system: arch", "system"},
		{"tiny size", "sizeMiB: 1024", "sizeMiB: 1", "sizeMiB"},
		{"mirror with spaces", "/debian", "/debian main [trusted=yes]", "mirror"},
		{"file mirror", "http://mirror.example.org/debian", "file:///etc", "mirror"},
		{"security without mirror", "mirror:", "securityMirror:", "securityMirror"},
		{"cloud kernel", "linux-image-amd64", "linux-image-cloud-amd64", "packages[0]"},
		{"option as package", "[linux-image-amd64]", "[--hook=x]", "packages[0]"},
		{"unit with a space", "packages:", "enable: ['a b.service']\npackages:", "enable[0]"},
		{"relative path", "packages:", "files: [{path: etc/x}]\npackages:", "files[0].path"},
		{"path that climbs", "packages:", "files: [{path: /../x}]\npackages:", "files[0].path"},
		{"GRUB in the command line", "packages:", "kernelCommandLine: 'a; reboot'\npackages:", "kernelCommandLine"},
		{"two documents", "packages:", "---\npackages:", "more than one"},
	} {
		t.Run(test.name, func(t *testing.T) {
			document := strings.Replace(goodRecipe, test.old, test.new, 1)
			_, err := build.ParseRecipe("x.yaml", []byte(document))
			if !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "x.yaml") {
				t.Errorf("got %v, want invalid with x.yaml and %q", err, test.want)
			}
		})
	}
}

func FuzzParseRecipe(f *testing.F) {
	f.Add([]byte(goodRecipe))
	f.Add([]byte("name: [x"))
	f.Fuzz(func(t *testing.T, document []byte) {
		r, err := build.ParseRecipe("x.yaml", document)
		if err == nil && (r.SizeMiB <= 0 || r.Name == "") {
			t.Errorf("accepted %+v", r)
		}
	})
}
