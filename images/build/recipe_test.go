package build_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"ingot/images/build"
	"ingot/images/recipes"
	"ingot/inventory"
)

func TestEmbeddedRecipes(t *testing.T) {
	s := schema(t)
	if len(build.Recipes()) < 9 {
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
		document, err := recipes.Files.ReadFile(name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(s, document); err != nil {
			t.Errorf("%s: schema: %v", name, err)
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
	source, err := build.ParseRecipe("z.yaml", []byte("name: x\nsizeMiB: 1024\npackages: [linux-image-amd64]\nsource: {debian: {release: bookworm, mirror: 'http://mirror.example.org/debian', components: [main]}}\n"))
	if err != nil || source.Digest() != r.Digest() {
		t.Errorf("source.debian is not the same as its keys at the top: %v", err)
	}
}

// TestParseRecipeRefuses: each mistake is found by us, with its line, and by the schema.
func TestParseRecipeRefuses(t *testing.T) {
	s := schema(t)
	for _, test := range []struct{ name, old, new, want string }{
		{"unknown key", "packages:", "pakages:", "x.yaml: line 7: unknown key pakages (did you mean packages?)"},
		{"wrong case", "sizeMiB:", "sizeMib:", "line 6: unknown key sizeMib (did you mean sizeMiB?)"},
		{"unknown key within", "packages:", "files: [{path: /x, contents: y}]\npackages:", "line 7: unknown key contents in files[0] (did you mean content?)"},
		{"wrong type", "sizeMiB: 1024", "sizeMiB: big", `line 6: key sizeMiB: it is "big", want a whole number`},
		{"text for a list", "[linux-image-amd64]", "linux-image-amd64", "line 7: key packages: it is \"linux-image-amd64\", want a list"},
		{"nothing", "[linux-image-amd64]", "", "line 7: key packages: it is empty, want a list"},
		{"bad name", "name: x", "name: X/../y", "line 1: key name"},
		{"no name", "name: x\n", "", "x.yaml: key name"},
		{"a tab", "packages:", "steps:\n\t- scripts: []\npackages:", "x.yaml: line 8: a tab, or another character"},
		{"unknown system", "system: debian", "system: arch", "line 2: key system"},
		{"tiny size", "sizeMiB: 1024", "sizeMiB: 1", "line 6: key sizeMiB: 1 is not between"},
		{"sectors of no disk", "packages:", "sectorBytes: 2048\npackages:", "line 7: key sectorBytes: 2048 is not 512 or 4096"},
		{"sectors that no BIOS reads", "packages:", "sectorBytes: 4096\ntest: {modes: [uefi, bios]}\npackages:", "line 8: key test.modes[1]: no BIOS boots"},
		{"sectors of a source", "system: debian", "sectorBytes: 4096\nsource: {image: {file: x, sha256: '0000000000000000000000000000000000000000000000000000000000000000', format: raw}}", "line 2: key sectorBytes: the disk's sectors are those of the source"},
		{"mirror with spaces", "/debian", "/debian main [trusted=yes]", "line 4: key mirror"},
		{"file mirror", "http://mirror.example.org/debian", "file:///etc", "line 4: key mirror"},
		{"security without mirror", "mirror:", "securityMirror:", "line 4: key securityMirror"},
		{"snapshot that is no time", "mirror: http://mirror.example.org/debian", "snapshot: yesterday", "line 4: key snapshot"},
		{"snapshot and mirror", "packages:", "snapshot: 20261101T000000Z\npackages:", "line 7: key snapshot"},
		{"cloud kernel", "linux-image-amd64", "linux-image-cloud-amd64", "line 7: key packages[0]"},
		{"option as package", "[linux-image-amd64]", "[--hook=x]", "line 7: key packages[0]"},
		{"unit with a space", "packages:", "enable: ['a b.service']\npackages:", "line 7: key enable[0]"},
		{"relative path", "packages:", "files: [{path: etc/x}]\npackages:", "line 7: key files[0].path"},
		{"path that climbs", "packages:", "files: [{path: /../x}]\npackages:", "line 7: key files[0].path"},
		{"mode that is none", "packages:", "files: [{path: /x, mode: 99999}]\npackages:", "line 7: key files[0].mode"},
		{"owner with a space", "packages:", "files: [{path: /x, owner: a b}]\npackages:", "line 7: key files[0].owner"},
		{"content twice", "packages:", "files: [{path: /x, content: y, from: z}]\npackages:", "line 7: key files[0]: from and content"},
		{"GRUB in the command line", "packages:", "kernelCommandLine: 'a; reboot'\npackages:", "line 7: key kernelCommandLine"},
		{"step with two keys", "packages:", "steps: [{packages: [a], cleanup: [/x]}]\npackages:", "line 7: key steps[0]: a step is one of"},
		{"step that is unknown", "packages:", "steps: [{scripts: {run: x}}]\npackages:", "line 7: unknown key scripts in steps[0] (did you mean script?)"},
		{"script without a text", "packages:", "steps: [{script: {name: x}}]\npackages:", "line 7: key steps[0].script: nothing to run"},
		{"user that is none", "packages:", "steps: [{users: [{name: '0 x'}]}]\npackages:", "line 7: key steps[0].users[0].name"},
		{"key that is none", "packages:", "steps: [{users: [{name: x, sshKeys: [abc]}]}]\npackages:", "line 7: key steps[0].users[0].sshKeys[0]"},
		{"environment", "packages:", "steps: [{script: {run: x, env: {A-B: c}}}]\npackages:", "line 7: key steps[0].script.env"},
		{"check without a command", "packages:", "checks: [{name: x}]\npackages:", "line 7: key checks[0].command"},
		{"check that is no regexp", "packages:", "checks: [{name: x, command: y, expect: '('}]\npackages:", "line 7: key checks[0].expect"},
		{"exit code", "packages:", "checks: [{name: x, command: y, exitCode: 300}]\npackages:", "line 7: key checks[0].exitCode"},
		{"boot mode", "packages:", "test: {modes: [pxe]}\npackages:", "line 7: key test.modes[0]"},
		{"time limit", "packages:", "test: {timeout: long}\npackages:", "line 7: key test.timeout"},
		{"two sources", "system: debian", "source: {oci: {layout: x, digest: 'sha256:0000000000000000000000000000000000000000000000000000000000000000'}, image: {file: x, sha256: '0000000000000000000000000000000000000000000000000000000000000000', format: raw}}", "line 2: key source: 2 sources"},
		{"digest of an image", "system: debian", "source: {image: {file: x, sha256: abc, format: raw}}", "line 2: key source.image.sha256"},
		{"format of an image", "system: debian", "source: {image: {file: x, sha256: '0000000000000000000000000000000000000000000000000000000000000000', format: iso}}", "line 2: key source.image.format"},
		{"installer without answers", "system: debian", "source: {installer: {kind: debian-preseed, package: x1, kernelPath: /a, initrdPath: /b}}", "line 2: key source.installer.answer"},
		{"installer without a kernel", "system: debian", "source: {installer: {kind: kickstart, answer: x}}", "line 2: key source.installer.kernel"},
		{"variable name", "packages:", "variables: {A-b: x}\npackages:", "line 7: key variables"},
		{"two documents", "packages:", "---\npackages:", "more than one"},
		{"not a mapping", goodRecipe, "- name: x\n", "line 1: a recipe is a mapping"},
		{"key twice", "packages:", "name: y\npackages:", "line 7: key name: it was given on line 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			document := []byte(strings.Replace(goodRecipe, test.old, test.new, 1))
			_, err := build.ParseRecipe("x.yaml", document)
			if !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "x.yaml") {
				t.Errorf("got %v\nwant invalid with x.yaml and %q", err, test.want)
			}
			if err := validate(s, document); err == nil {
				t.Error("the schema accepts it")
			}
		})
	}
}

func files(list map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, content := range list {
		fsys[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return fsys
}

func TestExtends(t *testing.T) {
	beside := files(map[string]string{
		"base.yaml":  goodRecipe + "variables: {port: '80'}\nfiles: [{path: /a, content: 'port ${port}'}]\ntest: {timeout: 5m, memoryMiB: 512}\n",
		"page.html":  "one ${not} a variable",
		"setup.sh":   "echo ${HOME}",
		"mid.yaml":   "extends: base.yaml\npackages: [curl]\n",
		"loop.yaml":  "extends: pool.yaml\n",
		"pool.yaml":  "extends: loop.yaml\n",
		"wrong.yaml": goodRecipe + "sizeMb: 3\n",
	})
	parse := func(document string, set map[string]string) (build.Recipe, error) {
		return build.Parse("x.yaml", []byte(document), build.ParseOptions{Beside: beside, Set: set})
	}
	r, err := parse("extends: mid.yaml\nname: y\nsizeMiB: ${size}\nvariables: {size: 2048}\npackages: [-linux-image-amd64, nano]\ntest: {timeout: 9m}\n"+
		"files: [{path: /b, from: page.html}]\nsteps: [{script: {from: setup.sh}}, {script: {run: 'echo $${x} ${port}'}}]\n", map[string]string{"port": "8080"})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{r.Name, r.SizeMiB, r.Packages, r.Test.Timeout, r.Test.MemoryMiB, r.Files, r.Steps[0].Script.Run, r.Steps[1].Script.Run}
	want := []any{"y", 2048, []string{"curl", "nano"}, "9m", 512, []build.File{{Path: "/a", Content: "port 8080"}, {Path: "/b", Content: "one ${not} a variable"}}, "echo ${HOME}", "echo ${x} 8080"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		name, document string
		set            map[string]string
		want           string
	}{
		{"a cycle", "extends: loop.yaml\n", nil, "pool.yaml: line 1: key extends: loop.yaml extends itself: x.yaml extends loop.yaml extends pool.yaml extends loop.yaml"},
		{"nothing there", "extends: none.yaml\n", nil, "x.yaml: line 1: key extends"},
		{"an unknown name", "extends: debian12\n", nil, "no recipe is named \"debian12\""},
		{"out of the folder", "extends: ../base.yaml\n", nil, "not a file beside"},
		{"a mistake in the other file", "extends: wrong.yaml\nname: y\n", nil, "wrong.yaml: line 8: unknown key sizeMb (did you mean sizeMiB?)"},
		{"a value in the other file", "extends: base.yaml\nmirror: ''\nsecurityMirror: 'http://a/b'\n", nil, "x.yaml: line 3: key securityMirror"},
		{"taken out twice", "extends: base.yaml\npackages: [-curl]\n", nil, "x.yaml: line 2: \"-curl\" takes out curl, which is not in the list"},
		{"no such variable", "extends: base.yaml\nkernelCommandLine: ${prot}\n", nil, "x.yaml: line 2: no variable is named \"prot\" (did you mean port?)"},
		{"set of no variable", "extends: base.yaml\nvariables: {a: b}\n", map[string]string{"prt": "1"}, "--set prt: the recipe has no such variable (did you mean port?)"},
		{"a number that is none", "extends: base.yaml\nvariables: {size: big}\nsizeMiB: ${size}\n", nil, "x.yaml: line 3: key sizeMiB: it is \"big\""},
		{"an alias", "extends: base.yaml\nenable: &a [x.service]\ndescription: y\n", nil, "x.yaml: line 2: anchors and aliases"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := parse(test.document, test.set); !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v\nwant %q", err, test.want)
			}
		})
	}
	if _, err := build.ParseRecipe("x.yaml", []byte("extends: base.yaml\n")); err == nil || !strings.Contains(err.Error(), "came as text") {
		t.Errorf("a recipe that came as text: %v", err)
	}
}

func TestLoadRecipe(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("x.yaml", goodRecipe+"files: [{path: /a, from: a.txt}]\n")
	write("a.txt", "one")
	first, err := build.LoadRecipe(filepath.Join(dir, "x.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	write("a.txt", "two")
	second, err := build.LoadRecipe(filepath.Join(dir, "x.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if first.Digest() == second.Digest() {
		t.Error("what is in a file that the recipe names does not change its digest")
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	write("y.yaml", goodRecipe+"files: [{path: /a, from: link}]\n")
	if _, err := build.LoadRecipe(filepath.Join(dir, "y.yaml"), nil); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("a link out of the folder: %v", err)
	}
	if _, err := build.LoadRecipe(filepath.Join(dir, "none.yaml"), nil); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("no file: %v", err)
	}
}

func FuzzParseRecipe(f *testing.F) {
	f.Add([]byte(goodRecipe))
	f.Add([]byte("name: [x"))
	for _, name := range build.Recipes() {
		document, err := recipes.Files.ReadFile(name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(document)
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		r, err := build.ParseRecipe("x.yaml", document)
		if err == nil && (r.SizeMiB <= 0 || r.Name == "" || r.Check() != nil) {
			t.Errorf("accepted %+v", r)
		}
		if err != nil && !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("not invalid: %v", err)
		}
	})
}

// TestDocument: a recipe as one text is the same recipe.
func TestDocument(t *testing.T) {
	for _, name := range build.Recipes() {
		r, err := build.EmbeddedRecipe(name)
		if err != nil {
			t.Fatal(err)
		}
		document, err := r.Document()
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(schema(t), document); err != nil {
			t.Errorf("%s: schema: %v", name, err)
		}
		again, err := build.ParseRecipe(name+".yaml", document)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, document)
			continue
		}
		if again.Digest() != r.Digest() {
			t.Errorf("%s: another digest:\n%s", name, document)
		}
	}
}
