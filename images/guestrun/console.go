package guestrun

import (
	"io"
	"regexp"
	"strings"
	"sync"
)

// tailBytes is how much of the console is kept in memory.
const tailBytes = 32 << 10

// console is what the serial console said last.
type console struct {
	mu      sync.Mutex
	tail    []byte
	total   int64
	changed chan struct{} // closed at the next byte
}

func newConsole() *console { return &console{changed: make(chan struct{})} }

// listen reads the console until it ends or has said more than limit; then it stops
// reading, which stops the guest's console too. heard is called for each read.
func (c *console) listen(r io.Reader, limit int64, heard func()) (flooded bool) {
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			c.add(buf[:n])
			heard()
		}
		if err != nil {
			return false
		}
		if c.said() > limit {
			return true
		}
	}
}

func (c *console) add(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total += int64(len(p))
	c.tail = append(c.tail, p...)
	if extra := len(c.tail) - tailBytes; extra > 0 {
		c.tail = append(c.tail[:0], c.tail[extra:]...)
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *console) said() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// overlap is how far back a pattern may begin before the bytes that are new.
const overlap = 2048

// since returns what was said after the first from bytes and a little before, how much
// was said in all, and a channel that is closed when there is more.
func (c *console) since(from int64) (text string, total int64, more <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(c.total-from+overlap, int64(len(c.tail)))
	return string(c.tail[int64(len(c.tail))-n:]), c.total, c.changed
}

// escapes are the terminal's control sequences (ECMA-48, 5.4 and 5.6) and bytes
// that are not text.
var escapes = regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]*(\x07|\x1b\\\\)?|\x1b.?|[\x00-\x08\x0b-\x1f\x7f]")

// Plain makes text of what a guest said: no control sequences, no invalid UTF-8.
// What jumps to another place on the screen begins a line.
func Plain(s string) string {
	return escapes.ReplaceAllString(jumps.ReplaceAllString(strings.ToValidUTF8(s, "?"), "\n"), "")
}

var jumps = regexp.MustCompile("\x1b\\[[0-9;]*H")

// LastLines returns the last n lines of text that say something, each cut at 200 bytes.
func LastLines(s string, n int) string {
	var lines []string
	for line := range strings.Lines(Plain(s)) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, strings.ToValidUTF8(line[:min(len(line), 200)], ""))
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
