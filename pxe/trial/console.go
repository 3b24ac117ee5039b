package trial

import (
	"io"
	"regexp"
	"strings"
	"sync"

	"ingot/images/guestrun"
)

// tailBytes is how much of the console is kept; a pattern fits into it.
const tailBytes = 16 << 10

// deadly is what a kernel or a loader says that can't go on, to the end of its line.
var deadly = regexp.MustCompile(`(Kernel panic - not syncing|grub rescue>|Invalid magic number|bad shim signature|Verification failed|Security Violation)[^\n]*\n`)

// listener reads a console.
type listener struct {
	// dead gets the first deadly line.
	dead chan string
	done chan struct{}

	mu  sync.Mutex
	end []byte
}

// listen reads the console until it ends with its machine.
func listen(r io.Reader) *listener {
	l := &listener{dead: make(chan string, 1), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		buf := make([]byte, 4096)
		for told := false; ; {
			n, err := r.Read(buf)
			text := l.add(buf[:n])
			if line := deadly.FindString(guestrun.Plain(text)); line != "" && !told {
				told = true
				l.dead <- strings.Join(strings.Fields(line), " ")
			}
			if err != nil {
				return
			}
		}
	}()
	return l
}

func (l *listener) add(p []byte) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = append(l.end, p...)
	if extra := len(l.end) - tailBytes; extra > 0 {
		l.end = append(l.end[:0], l.end[extra:]...)
	}
	return string(l.end)
}

// tail is what was said last.
func (l *listener) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.end)
}

// wait waits for the console's end.
func (l *listener) wait() { <-l.done }
