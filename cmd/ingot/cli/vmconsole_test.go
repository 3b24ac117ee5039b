package cli

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
)

func TestTyped(t *testing.T) {
	for _, test := range []struct {
		name, in string
		person   bool
		sent     string
		want     error
	}{
		{"a person leaves", "ls\r\x1dmore", true, "ls\r", errLeft},
		{"a terminal is closed", "ls\r", true, "ls\r", errLeft},
		{"a pipe ends", "ls\n", false, "ls\n", nil},
		{"bytes of a pipe are its own", "a\x1db", false, "a\x1db", nil},
	} {
		var sent bytes.Buffer
		if err := typed(&sent, strings.NewReader(test.in), test.person); !errors.Is(err, test.want) || sent.String() != test.sent {
			t.Errorf("%s: sent %q, %v", test.name, sent.String(), err)
		}
	}
}

// What a pipe brings goes to the port, what the port says is printed, and the port's end
// is the command's.
func TestJoinPipe(t *testing.T) {
	in, script, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	mine, port := net.Pipe()
	defer port.Close()
	go func() {
		b := make([]byte, 4)
		if _, err := io.ReadFull(mine, b); err != nil {
			t.Error(err)
		}
		_, _ = mine.Write([]byte("heard " + string(b))) // seen below
		mine.Close()
	}()
	if _, err := script.WriteString("root"); err != nil {
		t.Fatal(err)
	}
	script.Close()
	var out, notes bytes.Buffer
	a := &app{out: &out, err: &notes}
	if err := a.join(t.Context(), "web", port, in); err != nil || out.String() != "heard root" || !strings.Contains(notes.String(), "console of web ended") {
		t.Errorf("printed %q and %q, %v", out.String(), notes.String(), err)
	}
}
