package bootfiles

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed modules.txt
var modulesTable string

// wantedModule is a line of the module table.
type wantedModule struct {
	stage   int
	pattern string // a module's name, or a folder with a slash at the end
}

// parseModules reads a module table: stage and pattern on each line, # comments.
func parseModules(table string) ([]wantedModule, error) {
	var wanted []wantedModule
	number := 0
	for line := range strings.Lines(table) {
		number++
		text, _, _ := strings.Cut(line, "#")
		fields := strings.Fields(text)
		switch {
		case len(fields) == 0:
		case len(fields) != 2 || fields[0] != "1" && fields[0] != "2":
			return nil, fmt.Errorf("module table, line %d: %q: want a stage, 1 or 2, and a module or folder", number, strings.TrimSpace(line))
		default:
			wanted = append(wanted, wantedModule{stage: int(fields[0][0] - '0'), pattern: fields[1]})
		}
	}
	return wanted, nil
}

// stages are the modules of each stage, sorted, with their dependencies, and the
// patterns of the table that this kernel has nothing for.
type stages struct {
	first, second []string
	absent        []string
}

// divide resolves the table against a kernel's modules.
func divide(t *moduleTree, wanted []wantedModule) (stages, error) {
	var s stages
	var names [3][]string
	for _, w := range wanted {
		found, ok := t.expand(w.pattern)
		if !ok {
			s.absent = append(s.absent, w.pattern)
		}
		names[w.stage] = append(names[w.stage], found...)
	}
	var err error
	if s.first, err = t.closure(names[1]); err != nil {
		return s, err
	}
	all, err := t.closure(names[2])
	if err != nil {
		return s, err
	}
	inFirst := map[string]bool{}
	for _, n := range s.first {
		inFirst[n] = true
	}
	for _, n := range all {
		if !inFirst[n] {
			s.second = append(s.second, n)
		}
	}
	return s, nil
}
