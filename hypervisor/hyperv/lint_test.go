package hyperv

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// set is the words of a text.
func set(text string) map[string]bool {
	all := map[string]bool{}
	for _, w := range strings.Fields(text) {
		all[strings.ToLower(w)] = true
	}
	return all
}

// linter goes through a script's tokens and notes what is wrong.
type linter struct {
	tokens   []token
	faults   []string
	commands map[string][]string
	// assigned and read are variables; requested the fields of $Request and of what is
	// gone through in it, as "Disks.Path"; answered the keys of ordered hashtables.
	assigned, read      map[string]int
	requested, answered map[string]bool
	elements            map[string]string
	functions           map[string][]string
	depth               []string
	orderedNext         bool
}

// lint reads a script. More commands may be given: functions of another one.
func lint(script string, functions map[string][]string) *linter {
	tokens, faults := tokenize(script)
	l := &linter{tokens: tokens, faults: faults, commands: map[string][]string{}, assigned: map[string]int{}, read: map[string]int{}, requested: map[string]bool{},
		answered: map[string]bool{}, elements: map[string]string{}, functions: map[string][]string{}}
	for name, parameters := range allowed {
		l.commands[strings.ToLower(name)] = parameters
	}
	for name, parameters := range functions {
		l.commands[strings.ToLower(name)] = parameters
	}
	l.findFunctions()
	for i := range tokens {
		l.visit(i)
	}
	if len(l.depth) > 0 {
		l.fault(len(tokens)-1, "%q is not closed", l.depth[len(l.depth)-1])
	}
	for name, line := range l.read {
		if l.assigned[name] == 0 && !automatic[name] {
			l.faults = append(l.faults, fmt.Sprintf("line %d: $%s is never set", line, name))
		}
	}
	return l
}

func (l *linter) fault(i int, format string, args ...any) {
	l.faults = append(l.faults, fmt.Sprintf("line %d: %s", l.tokens[max(0, i)].line, fmt.Sprintf(format, args...)))
}

// is tells whether the i-th token is this one.
func (l *linter) is(i int, k kind, text string) bool {
	return i >= 0 && i < len(l.tokens) && l.tokens[i].kind == k && strings.EqualFold(l.tokens[i].text, text)
}

// findFunctions notes functions with their parameters.
func (l *linter) findFunctions() {
	for i := range l.tokens {
		if !l.is(i, word, "function") || i+1 >= len(l.tokens) {
			continue
		}
		name := l.tokens[i+1].text
		parameters := []string{}
		for j := i + 2; j < len(l.tokens) && !l.is(j, punct, ")"); j++ {
			if l.tokens[j].kind == variable {
				parameters = append(parameters, l.tokens[j].text)
				l.assigned[strings.ToLower(l.tokens[j].text)] = l.tokens[j].line
			}
		}
		l.functions[name] = parameters
		l.commands[strings.ToLower(name)] = parameters
	}
}

func (l *linter) visit(i int) {
	switch t := l.tokens[i]; t.kind {
	case variable:
		l.variable(i)
	case typeName:
		if !types[strings.ToLower(t.text)] {
			l.fault(i, "type [%s] is not in the table", t.text)
		}
		l.orderedNext = strings.EqualFold(t.text, "ordered")
	case punct:
		l.bracket(i)
	case word:
		if strings.HasPrefix(t.text, "Test-") && l.is(i-1, punct, "=") && l.is(i-2, variable, "null") {
			l.fault(i, "what %s says is thrown away", t.text)
		}
		l.word(i)
	case dash:
		if !l.inCommand(i) && !operators[strings.ToLower(t.text)] {
			l.fault(i, "operator %s is not in the table", t.text)
		}
	}
}

var closers = map[string]string{"(": ")", "@(": ")", "{": "}", "@{": "}", "ordered": "}", "[": "]"}

func (l *linter) bracket(i int) {
	text := l.tokens[i].text
	switch text {
	case "(", "@(", "{", "@{", "[":
		if text == "@{" && l.orderedNext {
			text = "ordered"
		}
		l.depth = append(l.depth, text)
	case ")", "}", "]":
		if len(l.depth) == 0 || closers[l.depth[len(l.depth)-1]] != text {
			l.fault(i, "%q closes nothing", text)
			return
		}
		l.depth = l.depth[:len(l.depth)-1]
	}
	l.orderedNext = false
}

// variable notes whether one is set or read, and which field of the request it is.
func (l *linter) variable(i int) {
	name := strings.ToLower(l.tokens[i].text)
	next := func(n int) token {
		if i+n < len(l.tokens) {
			return l.tokens[i+n]
		}
		return token{}
	}
	switch {
	case l.is(i+1, punct, "=") || l.is(i+1, word, "in"):
		l.assigned[name] = l.tokens[i].line
	default:
		l.read[name] = l.tokens[i].line
	}
	if l.is(i+1, word, "in") {
		delete(l.elements, name)
		if next(2).kind == variable && strings.EqualFold(next(2).text, "Request") && next(3).kind == member {
			l.elements[name] = next(3).text
		}
	}
	if next(1).kind != member {
		return
	}
	if of, ok := l.elements[name]; ok {
		l.requested[of+"."+next(1).text] = true
	}
	if name != "request" {
		return
	}
	l.requested[next(1).text] = true
	if next(2).kind == member {
		l.requested[next(1).text+"."+next(2).text] = true
	}
}

// word is a keyword, a key, a command or an argument.
func (l *linter) word(i int) {
	t := l.tokens[i]
	if !l.starts(i) || keywords[strings.ToLower(t.text)] || t.text[0] >= '0' && t.text[0] <= '9' {
		return
	}
	if l.is(i-1, word, "function") {
		return
	}
	if len(l.depth) > 0 && (l.depth[len(l.depth)-1] == "ordered" || l.depth[len(l.depth)-1] == "@{") && l.is(i+1, punct, "=") {
		if l.depth[len(l.depth)-1] == "ordered" {
			l.answered[t.text] = true
		}
		return
	}
	if _, known := l.commands[strings.ToLower(t.text)]; !known {
		l.fault(i, "command %s is not in the table", t.text)
		return
	}
	l.parameters(i)
}

// starts tells whether a command can stand here.
func (l *linter) starts(i int) bool {
	if i == 0 {
		return true
	}
	switch prev := l.tokens[i-1]; prev.kind {
	case newline:
		return true
	case punct:
		return slices.Contains([]string{"(", "@(", "{", "@{", "}", ";", "|", "="}, prev.text)
	case word:
		return keywords[strings.ToLower(prev.text)]
	case dash:
		return !l.inCommand(i-1) && prev.text == "-not"
	}
	return false
}

// parameters checks those of the command at i.
func (l *linter) parameters(i int) {
	command := l.tokens[i].text
	for j := i + 1; j < len(l.tokens); j++ {
		switch t := l.tokens[j]; {
		case t.kind == newline || t.kind == punct && slices.Contains([]string{")", "}", "]", ";", "|"}, t.text):
			return
		case t.kind == punct && closers[t.text] != "":
			j = l.closing(j)
		case t.kind == dash && operators[strings.ToLower(t.text)] && !l.isParameter(command, t.text):
			l.fault(j, "operator %s among the arguments of %s", t.text, command)
		case t.kind == dash && !l.isParameter(command, t.text):
			l.fault(j, "%s has no parameter %s in the table", command, t.text)
		}
	}
}

func (l *linter) isParameter(command, dashed string) bool {
	return slices.ContainsFunc(l.commands[strings.ToLower(command)], func(p string) bool { return strings.EqualFold("-"+p, dashed) })
}

// closing is the place of the bracket that closes the one at i.
func (l *linter) closing(i int) int {
	depth := 0
	for j := i; j < len(l.tokens); j++ {
		if l.tokens[j].kind != punct {
			continue
		}
		switch {
		case closers[l.tokens[j].text] != "":
			depth++
		case slices.Contains([]string{")", "}", "]"}, l.tokens[j].text):
			if depth--; depth == 0 {
				return j
			}
		}
	}
	return len(l.tokens)
}

// inCommand tells whether the dash at i is a command's: walk back to the statement's start.
func (l *linter) inCommand(i int) bool {
	for j := i - 1; j >= 0; j-- {
		t := l.tokens[j]
		switch {
		case t.kind == newline || t.kind == punct && (t.text == ";" || t.text == "|" || t.text == "=" || closers[t.text] != ""):
			return false
		case t.kind == punct && slices.Contains([]string{")", "}", "]"}, t.text):
			j = l.opening(j)
		case t.kind == word && l.starts(j) && !keywords[strings.ToLower(t.text)]:
			_, known := l.commands[strings.ToLower(t.text)]
			return known
		}
	}
	return false
}

func (l *linter) opening(i int) int {
	depth := 0
	for j := i; j >= 0; j-- {
		if l.tokens[j].kind != punct {
			continue
		}
		switch {
		case slices.Contains([]string{")", "}", "]"}, l.tokens[j].text):
			depth++
		case closers[l.tokens[j].text] != "":
			if depth--; depth == 0 {
				return j
			}
		}
	}
	return 0
}

// contract is what a script gets and answers.
type contract struct {
	script  string
	request reflect.Type
	answer  reflect.Type
}

func of[Q, A any](o operation[Q, A]) contract {
	return contract{o.script.Name, reflect.TypeFor[Q](), reflect.TypeFor[A]()}
}

var contracts = []contract{of(askHost), of(askPlace), of(listMachines), of(watchMachines), of(pullImage), of(finishImage), of(removeImage), of(createMachine), of(deleteMachine),
	of(powerMachine), of(listCheckpoints), of(takeCheckpoint), of(restoreOne), of(removeCheckpoint), of(growVHD), of(sizeMachine), of(setNotes)}

// fields are a type's, in JSON's names; those of elements as "Disks.Path" when dotted.
func fields(t reflect.Type, prefix string, dotted bool, into map[string]bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		name := f.Name
		if tag := f.Tag.Get("json"); tag != "" {
			name = tag
		}
		into[prefix+name] = true
		inner := f.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner.PkgPath() == t.PkgPath() {
			if dotted {
				fields(inner, name+".", true, into)
			} else {
				fields(inner, "", false, into)
			}
		}
	}
}

// differ lists what is in one and not in the other.
func differ(t *testing.T, what string, want, got map[string]bool) {
	t.Helper()
	for name := range want {
		if !got[name] {
			t.Errorf("%s: the Go type has %s, the script does not", what, name)
		}
	}
	for name := range got {
		if !want[name] {
			t.Errorf("%s: the script has %s, the Go type does not", what, name)
		}
	}
}

func TestScripts(t *testing.T) {
	common := lint(read(commonFile), nil)
	for _, f := range common.faults {
		t.Errorf("%s: %s", commonFile, f)
	}
	if len(contracts) != len(Scripts()) {
		t.Errorf("%d scripts, %d with a contract", len(Scripts()), len(contracts))
	}
	for _, c := range contracts {
		t.Run(c.script, func(t *testing.T) {
			l := lint(read(c.script+".ps1"), common.functions)
			for _, f := range l.faults {
				t.Error(f)
			}
			request, answer := map[string]bool{}, map[string]bool{}
			fields(c.request, "", true, request)
			fields(c.answer, "", false, answer)
			differ(t, "request", request, l.requested)
			differ(t, "answer", answer, l.answered)
		})
	}
}

// Each kind of fault is caught.
func TestLintCatches(t *testing.T) {
	for name, test := range map[string]struct{ script, want string }{
		"alias":                   {"gci -Path x", "command gci is not in the table"},
		"Hyper-V's alias":         {"Get-VMCheckpoint -VM $null", "command Get-VMCheckpoint"},
		"unknown command":         {"$x = Get-VMGhost\n$x", "command Get-VMGhost"},
		"in a pipe":               {"Get-VM | select Id", "command select"},
		"in a block":              {"if ($true) { iex $null }", "command iex"},
		"expression":              {"Invoke-Expression -Command $null", "command Invoke-Expression"},
		"unknown parameter":       {"Stop-VM -VM $null -Quick", "Stop-VM has no parameter -Quick"},
		"by name":                 {"Get-VM -Name 'web'", "Get-VM has no parameter -Name"},
		"not ASCII":               {"$x = 'ü'\n$x = '\u201c", "not ASCII"},
		"smart dash":              {"Get-VM \u2013Id $null", "not ASCII"},
		"interpolation":           {`$x = "a $(Get-VM)"`, "double-quoted"},
		"double quotes":           {`$x = "a"`, "double-quoted"},
		"here-string with quotes": {"$x = @\"\na\n\"@", "double-quoted"},
		"subexpression":           {"$x = $(Get-VM)", "subexpression"},
		"null coalescing":         {"$x = $null ?? 1", `"?"`},
		"null condition":          {"$x = $null?.Length", `"?"`},
		"ternary":                 {"$x = $true ? 1 : 2", `"?"`},
		"and chain":               {"Get-VM && Get-VM", `"&"`},
		"or chain":                {"Get-VM || Get-VM", `"||"`},
		"call operator":           {"& 'x'", `"&"`},
		"redirection":             {"Get-VM > x", `">"`},
		"backtick":                {"Get-VM `\n", "\"`\""},
		"percent":                 {"Get-VM | % { $_ }", `"%"`},
		"parallel":                {"Get-VM | ForEach-Object -Parallel { $_ }", "command ForEach-Object"},
		"unknown operator":        {"$x = 'a' -shr 1", "operator -shr"},
		"operator in arguments":   {"Start-VM -VM $null -and $true", "among the arguments"},
		"unknown type":            {"[ScriptBlock]::Create('x')", "type [ScriptBlock]"},
		"never set":               {"Start-VM -VM $vm", "$vm is never set"},
		"not closed":              {"if ($true) { Get-VM", "is not closed"},
		"closes nothing":          {"Get-VM }", "closes nothing"},
		"unheard test":            {"$null = Test-VHD -Path 'x'", "what Test-VHD says is thrown away"},
		"open string":             {"$x = 'a", "without an end"},
	} {
		l := lint(test.script, nil)
		if !strings.Contains(strings.Join(l.faults, "\n"), test.want) {
			t.Errorf("%s: got %q, want %q", name, l.faults, test.want)
		}
	}
	l := lint("foreach ($d in $Request.Disks) { $d.Path }\n[ordered]@{ A = $Request.Seed.Gzip; B = @{ C = 1 } }", nil)
	request, answer := set(""), map[string]bool{"A": true, "B": true}
	for _, f := range []string{"Disks", "Disks.Path", "Seed", "Seed.Gzip"} {
		request[f] = true
	}
	if !reflect.DeepEqual(l.requested, request) || !reflect.DeepEqual(l.answered, answer) || len(l.faults) > 0 {
		t.Errorf("fields %v, %v, %q", l.requested, l.answered, l.faults)
	}
}
