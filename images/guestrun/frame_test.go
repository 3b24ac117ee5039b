package guestrun

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

func parse(r io.Reader, maxOutput int) (answer, error) {
	return readAnswer(bufio.NewReaderSize(r, maxLineBytes), func() {}, "X", maxOutput)
}

func TestReadAnswer(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		status   int
		output   string
		err      string
	}{
		{"plain", "done X 0 0\naGVsbG8=\nend X\n", 0, "hello", ""},
		{"empty", "done X 7 0\nend X\n", 7, "", ""},
		{"carriage returns", "done X 0 0\r\naGVsbG8=\r\nend X\r\n", 0, "hello", ""},
		{"after remains of others", "alive X\nend W\nnonsense\n\ndone W 0 0\ndone X 1 0\nend X\n", 1, "", ""},
		{"cut", "done X 0 0\naGVs", 0, "", "EOF"},
		{"status", "done X 256 0\nend X\n", 0, "", `answered "256 0"`},
		{"negative", "done X 0 -1\nend X\n", 0, "", "answered"},
		{"no numbers", "done X\nend X\n", 0, "", "answered"},
		{"long line", "done X 0 0\n" + strings.Repeat("A", maxLineBytes+1), 0, "", "a line of more than"},
		{"too much", "done X 0 0\n" + strings.Repeat("AAAA\n", 100) + "end X\n", 0, "", "more output"},
		{"empty lines for ever", "done X 0 0\n" + strings.Repeat("\n", 100), 0, "", "more output"},
		{"not base64", "done X 0 0\n====\nend X\n", 0, "", "not base64"},
		{"nonsense for ever", strings.Repeat("alive X\n", maxIdleLines+1), 0, "", "no answer"},
	} {
		got, err := parse(strings.NewReader(tt.in), 64)
		switch {
		case tt.err == "" && (err != nil || got.status != tt.status || string(got.output) != tt.output):
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
		case tt.err != "" && tt.err != "EOF" && !errors.As(err, new(*GuestError)):
			t.Errorf("%s: %v is not the guest's failure", tt.name, err)
		}
	}
}

func FuzzReadAnswer(f *testing.F) {
	for _, s := range []string{"done X 0 0\naGVsbG8=\nend X\n", "alive X\nhello 1\ndone X 255 9\nend X", "done X 0 0\n\n", "\x00\xff\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parse(strings.NewReader(s), 100)
		if err == nil && (len(a.output) > 102 || a.status < 0 || a.status > 255) {
			t.Errorf("%q: %+v", s, a)
		}
	})
}

func FuzzPlain(f *testing.F) {
	for _, s := range []string{"\x1b[2J\x1b[01;31mred\x1b[0m", "\x1b]0;title\x07x", "a\rb\tc\n", "\x1b", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Plain(s)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\x00\r") {
			t.Errorf("Plain(%q) = %q", s, got)
		}
		if lines := LastLines(s, 3); strings.Count(lines, "\n") > 2 || !utf8.ValidString(lines) {
			t.Errorf("LastLines(%q) = %q", s, lines)
		}
	})
}

func TestPlain(t *testing.T) {
	got := LastLines("\x1b[2J\x1b[1;31mone\x1b[0m\r\n\r\n two \n\x1b]0;title\x07three\n", 2)
	if diff := cmp.Diff("two\nthree", got); diff != "" {
		t.Errorf("LastLines (-want +got):\n%s", diff)
	}
}

func TestCommandCheck(t *testing.T) {
	for _, c := range []Command{
		{Script: "a\x00b"}, {Script: strings.Repeat("x", maxScriptBytes)}, {Interpreter: "sh"}, {Interpreter: "/bin/sh\n-e"},
		{Timeout: -1}, {Timeout: 25 * time.Hour}, {MaxOutputBytes: -1}, {MaxOutputBytes: MaxOutputBytes + 1},
		{Env: map[string]string{"A B": "x"}}, {Env: map[string]string{"A": "\x00"}}, {Env: map[string]string{"A": strings.Repeat("'", maxScriptBytes/2)}},
	} {
		if err := c.Check(); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("Check(%.60s) = %v, want ErrInvalid", fmt.Sprintf("%+v", c), err)
		}
	}
	if err := (Command{Script: "echo 'INGOT'", Env: map[string]string{"PATH": "/bin"}}).Check(); err != nil {
		t.Error(err)
	}
}
