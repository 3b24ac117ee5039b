package daemon

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"gopkg.in/yaml.v3"

	"ingot/images/build"
	"ingot/inventory"
)

// variable is the name of the variable that sets a key.
func variable(key string) string {
	return "INGOT_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// FlagError is a bad value that a flag gave.
type FlagError struct {
	Flag string
	Err  error
}

// Error implements error.
func (e *FlagError) Error() string { return "flag --" + e.Flag + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the value.
func (e *FlagError) Unwrap() error { return e.Err }

// placed says where a bad value was given: a *FlagError, or with the variable or the line.
func placed(v *viper.Viper, file string, flags *pflag.FlagSet, err error) error {
	var b *badValue
	if !errors.As(err, &b) {
		return fmt.Errorf("configuration: %w", err)
	}
	for name, key := range flagKeys {
		if f := flags.Lookup(name); key == b.key && f != nil && f.Changed {
			return &FlagError{name, err}
		}
	}
	return fmt.Errorf("%s: %w", origin(v, file, b), err)
}

func origin(v *viper.Viper, file string, b *badValue) string {
	if os.Getenv(variable(b.key)) != "" {
		return "variable " + variable(b.key)
	}
	if data, err := os.ReadFile(file); err == nil && v.InConfig(b.key) {
		return fmt.Sprintf("configuration file %s: line %d", file, keyLine(data, b.key))
	}
	return "configuration"
}

// keyLine finds the line of a key like "machine.http_port".
func keyLine(data []byte, key string) int {
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) != nil || len(doc.Content) == 0 {
		return 0
	}
	node, line := doc.Content[0], 0
	for _, part := range strings.Split(key, ".") {
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == part {
				line, node = node.Content[i].Line, node.Content[i+1]
				break
			}
		}
	}
	return line
}

// entryLine finds the line of the i-th entry of a list.
func entryLine(data []byte, list string, i int) int {
	var doc map[string]yaml.Node
	if yaml.Unmarshal(data, &doc) != nil || i >= len(doc[list].Content) {
		return 0
	}
	return doc[list].Content[i].Line
}

// undecoded names the variable whose text can't become what its key holds; the file was
// checked before, and flags check themselves.
func undecoded(v *viper.Viper, err error) error {
	var d *mapstructure.DecodeError
	if !errors.As(err, &d) {
		return inventory.Invalid("configuration: %v", err)
	}
	return inventory.Invalid("variable %s: %q can't be the value of %s (default %v)", variable(d.Name()), v.GetString(d.Name()), d.Name(), defaults[d.Name()])
}

// plain says yaml's errors in the file's words: "line 3: field dhpc not found in type
// daemon.Config" names a Go type that no user knows, and "line 4: cannot unmarshal"
// names no key.
func plain(data []byte, err error) string {
	var typed *yaml.TypeError
	if !errors.As(err, &typed) {
		return build.YAMLText(err)
	}
	var out []string
	for _, line := range typed.Errors {
		if where, rest, ok := strings.Cut(line, ": field "); ok {
			key, _, _ := strings.Cut(rest, " not found")
			line = where + ": unknown key " + key
		}
		out = append(out, mistyped(data, line))
	}
	return strings.Join(out, "; ")
}

var unmarshalError = regexp.MustCompile("^line ([0-9]+): cannot unmarshal !!([a-z]+) (?:`(.*)` )?into (.*)$")

// goTypes in the words of a configuration file.
var goTypes = map[string]string{"int": "a whole number", "bool": "true or false", "string": "text", "time.Duration": "a time like 20s or 1h"}

func mistyped(data []byte, line string) string {
	m := unmarshalError.FindStringSubmatch(line)
	if m == nil {
		return line
	}
	number, kind, text, goType := m[1], m[2], m[3], m[4]
	want := goTypes[goType]
	switch {
	case want != "":
	case strings.HasPrefix(goType, "[]"):
		want = "a list"
	default:
		want = "keys of its own"
	}
	given, node := fmt.Sprintf("%q", text), yaml.ScalarNode
	switch kind {
	case "map":
		given, node = "keys are given", yaml.MappingNode
	case "seq":
		given, node = "a list is given", yaml.SequenceNode
	}
	if key := keyAt(data, number, node, text); key != "" {
		given = key + ": " + given
	}
	return fmt.Sprintf("line %s: %s (want %s)", number, given, want)
}

// keyAt is the key of the value on a line, with those that it is below: limits.boot. yaml
// shows the beginning of a long text alone.
func keyAt(data []byte, number string, kind yaml.Kind, text string) string {
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) != nil || len(doc.Content) == 0 {
		return ""
	}
	return keyIn(doc.Content[0], "", func(n *yaml.Node) bool {
		return n.Kind == kind && fmt.Sprint(n.Line) == number && strings.HasPrefix(n.Value, strings.TrimSuffix(text, "..."))
	})
}

func keyIn(n *yaml.Node, path string, at func(*yaml.Node) bool) string {
	for i, child := range n.Content {
		below := path
		switch {
		case n.Kind == yaml.SequenceNode:
			below = fmt.Sprintf("%s[%d]", path, i)
		case i%2 == 0:
			continue
		default:
			below = strings.TrimPrefix(path+"."+n.Content[i-1].Value, ".")
		}
		if found := keyIn(child, below, at); found != "" {
			return found
		}
		if at(child) {
			return below
		}
	}
	return ""
}
