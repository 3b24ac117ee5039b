package guestrun

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestHostileChannel lets a guest do what it likes: the host's wait ends with a reason.
func TestHostileChannel(t *testing.T) {
	for name, tt := range map[string]struct {
		guest func(net.Conn)
		want  string
		mine  bool // it is the guest's failure
	}{
		"floods with lines":       {func(c net.Conn) { repeat(c, "y\n") }, "no answer", true},
		"floods with one line":    {func(c net.Conn) { repeat(c, "yyyyyyyyyyyyyyyy") }, "a line of more than", true},
		"floods after its hello":  {func(c net.Conn) { io.WriteString(c, "hello 1\n"); go io.Copy(io.Discard, c); repeat(c, "alive x\n") }, "no answer", true},
		"another version":         {func(c net.Conn) { io.WriteString(c, "hello 2\n") }, "version", true},
		"hangs up":                {func(c net.Conn) { c.Close() }, "EOF", false},
		"takes nothing":           {func(c net.Conn) { io.WriteString(c, "hello 1\n") }, "deadline", false},
		"says nothing, ever":      {func(c net.Conn) {}, "deadline", false},
		"hello, then not a word":  {func(c net.Conn) { io.WriteString(c, "hello 1\n"); io.Copy(io.Discard, c) }, "deadline", false},
		"half a line, then stops": {func(c net.Conn) { io.WriteString(c, "hel") }, "deadline", false},
	} {
		t.Run(name, func(t *testing.T) {
			host, guest := net.Pipe()
			done := make(chan struct{})
			go func() { defer close(done); tt.guest(guest) }()
			c := newChannel(host)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			do := func() error {
				_, err := c.do(Command{Script: "true"}, func() {})
				return err
			}
			err := c.use(ctx, do)
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.As(err, new(*GuestError)) != tt.mine {
				t.Errorf("%v; want %q", err, tt.want)
			}
			if err := c.use(t.Context(), do); err == nil || !strings.Contains(err.Error(), "closed since") {
				t.Errorf("a second command: %v; want the reason of the first", err)
			}
			c.close()
			guest.Close()
			<-done
		})
	}
}

func repeat(w io.Writer, s string) {
	for {
		if _, err := io.WriteString(w, s); err != nil {
			return
		}
	}
}
