package hyperv

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kind of a token of Windows PowerShell 5.1, as far as our scripts go.
type kind int

const (
	word     kind = iota // a command, a bare argument, a keyword, a number
	dash                 // a parameter or an operator: -Path, -eq
	variable             // without its dollar
	text                 // a single-quoted string or here-string
	typeName             // [System.IO.File], without brackets
	member               // .Name or ::Name
	punct
	newline
)

type token struct {
	kind kind
	text string
	line int
}

// tokenize splits a script. What must not be in one at all is a fault here: strings with
// interpolation, and characters that only other syntax has.
func tokenize(script string) ([]token, []string) {
	t := &tokenizer{in: script, line: 1}
	for i, line := range strings.Split(script, "\n") {
		if strings.ContainsFunc(line, func(r rune) bool { return r > 0x7e || r < ' ' && r != '\t' }) {
			t.faults = append(t.faults, fmt.Sprintf("line %d: a character that is not ASCII", i+1))
		}
	}
	for t.at < len(script) {
		t.step()
	}
	return t.tokens, t.faults
}

type tokenizer struct {
	in       string
	at, line int
	tokens   []token
	faults   []string
}

func (t *tokenizer) fault(format string, args ...any) {
	t.faults = append(t.faults, fmt.Sprintf("line %d: %s", t.line, fmt.Sprintf(format, args...)))
}

func (t *tokenizer) add(k kind, s string, n int) {
	t.tokens = append(t.tokens, token{k, s, t.line})
	t.line += strings.Count(t.in[t.at:t.at+n], "\n")
	t.at += n
}

// span counts the bytes at the start that f takes.
func span(s string, f func(c byte) bool) int {
	n := 0
	for n < len(s) && f(s[n]) {
		n++
	}
	return n
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }
func isName(c byte) bool   { return isLetter(c) || c >= '0' && c <= '9' }
func isWord(c byte) bool {
	return isName(c) || c == '-' || c == '\\' || c == '/' || c == '.' || c == '*'
}

// punctuation, the longest first.
var punctuation = []string{"@(", "@{", "+=", "-=", "(", ")", "{", "}", "[", "]", ";", ",", "=", "|", "+", "*", "-"}

func (t *tokenizer) step() {
	rest := t.in[t.at:]
	c := rest[0]
	switch {
	case c == '\n':
		t.add(newline, "\n", 1)
	case c == ' ' || c == '\t':
		t.at++
	case c > 0x7e || c < ' ': // told already
		t.at++
	case c == '#':
		t.at += span(rest, func(c byte) bool { return c != '\n' })
	case strings.HasPrefix(rest, "@'\n"):
		t.quoted(strings.Index(rest, "\n'@"), 3, rest[min(3, len(rest)):])
	case c == '\'':
		t.quoted(strings.IndexByte(rest[1:], '\''), 2, rest[1:])
	case c == '"' || strings.HasPrefix(rest, `@"`):
		t.fault("a double-quoted string")
		t.at += 1 + max(0, strings.IndexByte(rest[1:], '"')) + 1
	case strings.HasPrefix(rest, "$("):
		t.fault("a subexpression $(")
		t.at++
	case c == '$':
		n := 1 + span(rest[1:], isName)
		if n == 1 {
			t.fault("a variable without a plain name")
		}
		t.add(variable, rest[1:n], n)
	case t.tight() && (c == '.' || strings.HasPrefix(rest, "::")):
		n := span(rest, func(c byte) bool { return c == '.' || c == ':' })
		m := n + span(rest[n:], isName)
		t.add(member, rest[n:m], m)
	case c == '[' && typeLength(rest) > 0:
		n := typeLength(rest)
		t.add(typeName, rest[1:n-1], n)
	case c == '-' && len(rest) > 1 && isLetter(rest[1]):
		n := 1 + span(rest[1:], isName)
		t.add(dash, rest[:n], n)
		if strings.HasPrefix(t.in[t.at:], ":") {
			t.at++ // -Confirm:$false
		}
	case isName(c):
		n := span(rest, isWord)
		t.add(word, rest[:n], n)
	default:
		t.mark(rest)
	}
}

// tight: the last token ended just before, and has members.
func (t *tokenizer) tight() bool {
	return t.at > 0 && len(t.tokens) > 0 && (isName(t.in[t.at-1]) && t.tokens[len(t.tokens)-1].kind != word || t.in[t.at-1] == ')' || t.in[t.at-1] == ']')
}

func (t *tokenizer) quoted(end, marks int, inside string) {
	if end < 0 {
		t.fault("a string without an end")
		t.at = len(t.in)
		return
	}
	if marks == 3 { // a here-string: @' and newline, text, newline and '@
		t.add(text, inside[:max(0, end-3)], end+3)
		return
	}
	t.add(text, inside[:end], end+marks)
}

func (t *tokenizer) mark(rest string) {
	if strings.HasPrefix(rest, "||") {
		t.fault("%q, which is PowerShell 7", "||")
		t.at += 2
		return
	}
	for _, p := range punctuation {
		if strings.HasPrefix(rest, p) {
			t.add(punct, p, len(p))
			return
		}
	}
	t.fault("%q, which is other syntax (call operators, redirection, aliases, PowerShell 7)", rest[:1])
	t.at++
}

// typeLength is the length of a type in brackets, 0 if it is none.
func typeLength(rest string) int {
	n := 1 + span(rest[1:], func(c byte) bool { return isName(c) || c == '.' })
	if strings.HasPrefix(rest[n:], "[]") {
		n += 2
	}
	if n == 1 || !isLetter(rest[1]) || n >= len(rest) || rest[n] != ']' {
		return 0
	}
	return n + 1
}

func TestTokenize(t *testing.T) {
	got, faults := tokenize("# no\n$a.B = @([string]$x -eq 'it''s' ) | Get-VM -Id:$b[0] # x\n")
	want := []token{{newline, "\n", 1}, {variable, "a", 2}, {member, "B", 2}, {punct, "=", 2}, {punct, "@(", 2}, {typeName, "string", 2}, {variable, "x", 2},
		{dash, "-eq", 2}, {text, "it", 2}, {text, "s", 2}, {punct, ")", 2}, {punct, "|", 2}, {word, "Get-VM", 2}, {dash, "-Id", 2}, {variable, "b", 2},
		{punct, "[", 2}, {word, "0", 2}, {punct, "]", 2}, {newline, "\n", 2}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(token{})); diff != "" || len(faults) > 0 {
		t.Errorf("faults %q; (-want +got):\n%s", faults, diff)
	}
	here, faults := tokenize("$a = @'\n\"$(x)\" ?? 'y'\n'@\n$b")
	if len(faults) > 0 || here[2].text != `"$(x)" ?? 'y'` || here[len(here)-1].line != 4 {
		t.Errorf("here-string: %v, %q", here, faults)
	}
}
