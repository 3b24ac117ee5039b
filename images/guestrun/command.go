package guestrun

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"maps"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"ingot/inventory"
)

// Command is a script to run in a guest, as root.
type Command struct {
	// Name is for errors and logs.
	Name string
	// Script is text; it may not hold a zero byte.
	Script string
	// Interpreter is an absolute path and arguments, as after #!. Empty: /bin/sh.
	Interpreter string
	// Env is added to the guest's environment.
	Env map[string]string
	// Timeout ends the script in the guest; 0 is DefaultTimeout.
	Timeout time.Duration
	// MaxOutputBytes is how much of what it prints comes back; 0 is 64 KiB.
	MaxOutputBytes int
}

// DefaultTimeout is for commands that name none.
const DefaultTimeout = 5 * time.Minute

// Result is what a command did.
type Result struct {
	// ExitCode is the script's; 128 and a signal's number when one ended it.
	ExitCode int
	// Output is what it printed, both streams as they came.
	Output string
	// Truncated says that there was more.
	Truncated bool
	// TimedOut says that it was ended by its Timeout.
	TimedOut bool
	// Took is how long it was waited for.
	Took time.Duration
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Check returns an inventory.ErrInvalid that says what can't be run.
func (c Command) Check() error {
	wrong := func(format string, args ...any) error {
		return inventory.Invalid("command %q: %s", c.Name, fmt.Sprintf(format, args...))
	}
	switch {
	case strings.ContainsRune(c.Script, 0):
		return wrong("the script holds a zero byte")
	case len(c.Script) > maxScriptBytes/2:
		return wrong("the script has %d bytes; at most %d", len(c.Script), maxScriptBytes/2)
	case c.Interpreter != "" && (!path.IsAbs(c.Interpreter) || strings.ContainsAny(c.Interpreter, "\x00\n")):
		return wrong("interpreter %q: want an absolute path, and arguments", c.Interpreter)
	case c.Timeout < 0 || c.Timeout > 24*time.Hour:
		return wrong("time limit %v: want at most a day", c.Timeout)
	case c.MaxOutputBytes < 0 || c.MaxOutputBytes > MaxOutputBytes:
		return wrong("output of %d bytes: want at most %d", c.MaxOutputBytes, MaxOutputBytes)
	}
	for key, value := range c.Env {
		if !envName.MatchString(key) || strings.ContainsRune(value, 0) {
			return wrong("environment variable %q: want letters, digits and _, and a value without zero bytes", key)
		}
	}
	if n := len(c.shell("")); n > maxScriptBytes {
		return wrong("script and environment have %d bytes; at most %d", n, maxScriptBytes)
	}
	return nil
}

// shell is the command as one shell script: it writes the script to a file and becomes
// its interpreter. mark ends the here-document and may not be a line of the script.
func (c Command) shell(mark string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(c.Env)) {
		fmt.Fprintf(&b, "export %s=%s\n", key, quote(c.Env[key]))
	}
	fmt.Fprintf(&b, "cat > \"$INGOT_DIR/command\" <<'%s'\n%s\n%[1]s\ncd / && exec", mark, strings.TrimSuffix(c.Script, "\n"))
	for _, word := range strings.Fields(cmp.Or(c.Interpreter, "/bin/sh")) {
		b.WriteString(" " + quote(word))
	}
	b.WriteString(" \"$INGOT_DIR/command\"\n")
	return b.String()
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (c Command) timeout() time.Duration { return cmp.Or(c.Timeout, DefaultTimeout) }
func (c Command) maxOutput() int         { return cmp.Or(c.MaxOutputBytes, 64<<10) }

// grace is how much longer than its timeout a command is waited for: the guest takes 10 s
// to kill it and may be slow.
const grace = 90 * time.Second

func (c Command) request(id string) []byte {
	return request(id, int(math.Ceil(c.timeout().Seconds())), c.maxOutput(), []byte(c.shell("INGOT-"+rand.Text())))
}
