package bootfiles

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// moduleTree are the modules of one kernel.
type moduleTree struct {
	dir     string
	paths   map[string]string // kernel's name to path below dir
	builtin map[string]bool
	infos   map[string]modinfo
}

// readModuleTree lists the modules below /lib/modules/VERSION. It needs no
// modules.dep: Debian's package has none, depmod makes it when it is installed.
func readModuleTree(dir string) (*moduleTree, error) {
	t := &moduleTree{dir: dir, paths: map[string]string{}, builtin: map[string]bool{}, infos: map[string]modinfo{}}
	err := filepath.WalkDir(filepath.Join(dir, "kernel"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if name, ok := moduleName(d.Name()); ok {
			rel, err := filepath.Rel(dir, p)
			t.paths[name] = rel
			return err
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list kernel modules: %w", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, fmt.Errorf("list built-in modules: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if name, ok := moduleName(path.Base(strings.TrimSpace(line))); ok {
			t.builtin[name] = true
		}
	}
	return t, nil
}

// info reads a module's .modinfo once.
func (t *moduleTree) info(name string) (modinfo, error) {
	if i, ok := t.infos[name]; ok {
		return i, nil
	}
	b, err := readModule(filepath.Join(t.dir, t.paths[name]))
	if err != nil {
		return modinfo{}, err
	}
	i, err := parseModinfo(b)
	if err != nil {
		return i, fmt.Errorf("module %s: %w", t.paths[name], err)
	}
	t.infos[name] = i
	return i, nil
}

// expand resolves a line of the table: a module's name, or a folder of modules.
// Nothing comes back for a name that is built in; found is false when this kernel
// does not have it at all.
func (t *moduleTree) expand(pattern string) (names []string, found bool) {
	folder, isFolder := strings.CutSuffix(pattern, "/")
	if !isFolder {
		name := canonical(pattern)
		if _, ok := t.paths[name]; ok {
			return []string{name}, true
		}
		return nil, t.builtin[name]
	}
	prefix := "kernel/" + folder + "/"
	for name, p := range t.paths {
		if strings.HasPrefix(p, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, len(names) > 0
}

// closure returns the modules, sorted, with everything they depend on.
func (t *moduleTree) closure(names []string) ([]string, error) {
	seen := map[string]bool{}
	todo := slices.Clone(names)
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, ok := t.paths[name]; !ok || seen[name] {
			continue
		}
		seen[name] = true
		i, err := t.info(name)
		if err != nil {
			return nil, err
		}
		todo = append(append(todo, i.depends...), i.softPre()...)
	}
	return sortedKeys(seen), nil
}

// packedPath is where the agent finds the module: decompressed.
func (t *moduleTree) packedPath(name string) string {
	p := t.paths[name]
	for _, s := range []string{".xz", ".zst"} {
		p = strings.TrimSuffix(p, s)
	}
	return p
}

// depLines is the content of modules.dep for these modules: the file, and all it
// needs, those needed last first (modules.dep(5)).
func (t *moduleTree) depLines(names []string) (string, error) {
	var b strings.Builder
	for _, name := range names {
		order, err := t.loadOrder(name)
		if err != nil {
			return "", err
		}
		b.WriteString(t.packedPath(name) + ":")
		for _, dep := range slices.Backward(order) {
			b.WriteString(" " + t.packedPath(dep))
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// loadOrder is what must be loaded before the module, in that order.
func (t *moduleTree) loadOrder(name string) ([]string, error) {
	var order []string
	seen := map[string]bool{name: true}
	var visit func(string) error
	visit = func(n string) error {
		i, err := t.info(n)
		if err != nil {
			return err
		}
		for _, dep := range i.depends {
			if _, ok := t.paths[dep]; !ok || seen[dep] {
				continue
			}
			seen[dep] = true
			if err := visit(dep); err != nil {
				return err
			}
			order = append(order, dep)
		}
		return nil
	}
	return order, visit(name)
}

// aliasLines is the content of modules.alias for these modules.
func (t *moduleTree) aliasLines(names []string) (string, error) {
	var b strings.Builder
	for _, name := range names {
		i, err := t.info(name)
		if err != nil {
			return "", err
		}
		for _, a := range i.aliases {
			b.WriteString("alias " + a + " " + name + "\n")
		}
	}
	return b.String(), nil
}

// softdepLines is the content of modules.softdep for these modules.
func (t *moduleTree) softdepLines(names []string) (string, error) {
	var b strings.Builder
	for _, name := range names {
		i, err := t.info(name)
		if err != nil {
			return "", err
		}
		for _, s := range i.softdeps {
			b.WriteString("softdep " + name + " " + s + "\n")
		}
	}
	return b.String(), nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
