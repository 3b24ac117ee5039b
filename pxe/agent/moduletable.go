package agent

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// moduleTable is what modules.dep, modules.alias and modules.softdep say (modules.dep(5),
// modprobe.d(5)). The files hold modules by their path; names have underscores only, as
// the kernel has them.
type moduleTable struct {
	paths map[string]string
	// needs must be loaded before, the first one first; softs had better be.
	needs, softs map[string][]string
	aliases      map[string][]alias
}

// alias is one line of modules.alias: a pattern and the module that serves it.
type alias struct{ pattern, module string }

func newModuleTable() *moduleTable {
	return &moduleTable{paths: map[string]string{}, needs: map[string][]string{}, softs: map[string][]string{}, aliases: map[string][]alias{}}
}

// moduleName is the kernel's name of a module: "snd-pcm.ko" is snd_pcm.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".")
	return strings.ReplaceAll(name, "-", "_")
}

// readDeps adds modules.dep: a file, a colon, and the files it needs, the one that is
// needed first standing last.
func (t *moduleTable) readDeps(r io.Reader) error {
	return eachLine(r, "modules.dep", func(line string) {
		file, needs, ok := strings.Cut(line, ":")
		if !ok {
			return
		}
		name := moduleName(file)
		t.paths[name] = file
		for _, need := range slices.Backward(strings.Fields(needs)) {
			t.needs[name] = append(t.needs[name], moduleName(need))
		}
	})
}

// readSoftdeps adds what modules.softdep wants loaded before a module; what it wants
// after one comes by its own alias.
func (t *moduleTable) readSoftdeps(r io.Reader) error {
	return eachLine(r, "modules.softdep", func(line string) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "softdep" {
			return
		}
		name, when := moduleName(f[1]), ""
		for _, word := range f[2:] {
			switch {
			case strings.HasSuffix(word, ":"):
				when = word
			case when == "pre:":
				t.softs[name] = append(t.softs[name], moduleName(word))
			}
		}
	})
}

func (t *moduleTable) readAliases(r io.Reader) error {
	return eachLine(r, "modules.alias", func(line string) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "alias" {
			key := aliasKey(f[1])
			t.aliases[key] = append(t.aliases[key], alias{f[1], moduleName(f[2])})
		}
	})
}

// aliasKeyBytes is as long as "pci:v00008086d", so that a device is compared with the
// patterns of its vendor alone, and with those that begin with a wildcard earlier.
const aliasKeyBytes = 14

// aliasKey is the start of a pattern, empty when it has a wildcard in it.
func aliasKey(pattern string) string {
	if len(pattern) < aliasKeyBytes || strings.ContainsAny(pattern[:aliasKeyBytes], "*?[") {
		return ""
	}
	return pattern[:aliasKeyBytes]
}

// matching returns the modules that serve a device's modalias.
func (t *moduleTable) matching(modalias string) []string {
	var out []string
	keys := []string{""}
	if len(modalias) >= aliasKeyBytes {
		keys = append(keys, modalias[:aliasKeyBytes])
	}
	for _, key := range keys {
		for _, a := range t.aliases[key] {
			if fnmatch(a.pattern, modalias) && !slices.Contains(out, a.module) {
				out = append(out, a.module)
			}
		}
	}
	return out
}

func eachLine(r io.Reader, file string, do func(line string)) error {
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		do(scan.Text())
	}
	if err := scan.Err(); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	return nil
}
