package hyperv

import (
	"fmt"
	"slices"
	"strings"
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
