package powershell

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

func TestFindAnswer(t *testing.T) {
	text := base64.StdEncoding.EncodeToString([]byte(`{"ok":true}`))
	for name, test := range map[string]struct {
		out, answer, outside string
		err                  error
	}{
		"bare":             {"<<<ingot n\r\n" + text + "\r\ningot>>> n\r\n", `{"ok":true}`, "", nil},
		"noise around":     {"hello\r\n\r\n<<<ingot n\r\n" + text + "\r\ningot>>> n\r\nbye", `{"ok":true}`, "hello\r\n\r\nbye", nil},
		"many lines":       {"<<<ingot n\n" + text[:4] + "\n" + text[4:8] + "\n" + text[8:] + "\ningot>>> n", `{"ok":true}`, "", nil},
		"of another run":   {"<<<ingot m\n" + text + "\ningot>>> m\n", "", "<<<ingot m\n" + text + "\ningot>>> m\n", errNoAnswer},
		"nothing":          {"", "", "", errNoAnswer},
		"no end":           {"<<<ingot n\n" + text + "\n", "", "", errCutAnswer},
		"end of another":   {"<<<ingot n\n" + text + "\ningot>>> m\n", "", "", errCutAnswer},
		"noise within":     {"<<<ingot n\nWARNING: hot\n" + text + "\ningot>>> n\n", "", "", errCutAnswer},
		"not at the start": {"x<<<ingot n\n" + text + "\ningot>>> n\n", "", "x<<<ingot n\n" + text + "\ningot>>> n\n", errNoAnswer},
		"a second answer":  {"<<<ingot n\n" + text + "\ningot>>> n\n<<<ingot n\n", `{"ok":true}`, "<<<ingot n\n", nil},
	} {
		answer, outside, err := findAnswer("n", []byte(test.out))
		if diff := cmp.Diff([]string{test.answer, test.outside}, []string{string(answer), string(outside)}); diff != "" || !errors.Is(err, test.err) {
			t.Errorf("%s: (-want +got)\n%s%v", name, diff, err)
		}
	}
}

func FuzzFindAnswer(f *testing.F) {
	f.Add([]byte("x\n<<<ingot n\neHg=\r\ningot>>> n\n"))
	f.Add([]byte("<<<ingot n\n=\ningot>>> n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		answer, outside, err := findAnswer("n", out)
		if len(outside) > len(out) || err != nil && answer != nil {
			t.Errorf("%q: %q, %q, %v", out, answer, outside, err)
		}
	})
}

func TestEncodeInput(t *testing.T) {
	got, err := encodeInput("n", Script{Name: "s", Text: "return 1"}, []byte(`{"a":"ä"}`))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(got), "\n"), "\n")
	if len(lines) != 5 || lines[0] != "n" || lines[4] != "n" {
		t.Fatalf("%q", lines)
	}
	for i, want := range []string{Prelude, "return 1", `{"a":"ä"}`} {
		if text, err := base64.StdEncoding.DecodeString(lines[i+1]); err != nil || string(text) != want {
			t.Errorf("line %d is %q, %v", i+1, text, err)
		}
	}
	if bytes.ContainsFunc(got, func(r rune) bool { return r > 126 }) {
		t.Error("not ASCII")
	}
	if _, err := encodeInput("n", Script{Name: "s"}, make([]byte, requestMax+1)); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("a large request: %v", err)
	}
}

// The line fits cmd.exe's, and has nothing that a shell would read.
func TestArguments(t *testing.T) {
	line := Program + " " + strings.Join(Arguments(), " ")
	if len(line) > 8191/4 {
		t.Errorf("%d characters", len(line))
	}
	if strings.ContainsAny(line, "&|<>^%!\"'`$()@;,{}~*?#\\\n") {
		t.Errorf("characters of shells in %s", line)
	}
	for name, text := range map[string]string{"bootstrap": bootstrap, "prelude": Prelude, "probe": Probe.Text} {
		if strings.ContainsFunc(text, func(r rune) bool { return r > 126 }) {
			t.Errorf("%s is not ASCII", name)
		}
	}
	if len(bootstrap) > 1024 {
		t.Errorf("the bootstrap has %d bytes", len(bootstrap))
	}
}

func TestOpen(t *testing.T) {
	for name, test := range map[string]struct {
		answer, want string
		err          string
	}{
		"result":  {`{"ok":true,"result":{"a":1}}`, `{"a":1}`, ""},
		"null":    {`{"ok":true,"result":null}`, `null`, ""},
		"error":   {`{"ok":false,"error":{"id":"X,Y","category":"ObjectNotFound","hresult":2147500037,"message":"gone"}}`, "", "s: gone (X,Y, 0x80004005)"},
		"neither": {`{"result":1}`, "", "neither result nor error"},
		"both":    {`{"ok":true,"error":{}}`, "", "neither result nor error"},
		"no":      {`{"ok":false}`, "", "neither result nor error"},
		"no JSON": {`<html>`, "", "read answer"},
	} {
		got, err := open(Script{Name: "s"}, []byte(test.answer))
		if string(got) != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
}

func TestWithoutAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		exit int
		want string
		is   error
	}{
		"language mode": {ExitLanguage, "FullLanguage", inventory.ErrUnsupported},
		"input cut":     {ExitNotWhole, "not arrive whole", ErrNotStarted},
		"cmd.exe":       {9009, "no powershell.exe", ErrNotStarted},
		"sh":            {127, "no powershell.exe", inventory.ErrUnsupported},
		"died":          {1, "ended with exit code 1: it hurt", errNoAnswer},
	} {
		err := withoutAnswer(process{exit: test.exit, stderr: []byte("it hurt")}, errNoAnswer)
		if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
