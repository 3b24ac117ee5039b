package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"ingot/inventory"
)

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// bar shows long work: one line that is redrawn on a terminal, a plain line now and
// then in a pipe.
type bar struct {
	w        io.Writer
	terminal bool
	step     string
	last     time.Time
	start    time.Time
	width    int
	tenth    int64
}

func newBar(w io.Writer) *bar {
	return &bar{w: w, terminal: isTerminal(w), start: time.Now(), tenth: -1}
}

// redrawEvery keeps a fast source from flooding the terminal.
const redrawEvery = 100 * time.Millisecond

// update shows done of total bytes in a step; rate and eta are computed when zero.
func (b *bar) update(label, step string, p inventory.Progress) {
	now := time.Now()
	fresh := step != b.step
	if fresh {
		b.step, b.start, b.tenth = step, now, -1
	}
	tenth := int64(0)
	if p.TotalBytes > 0 {
		tenth = p.Bytes * 10 / p.TotalBytes
	}
	if !b.terminal {
		if fresh || tenth > b.tenth {
			fmt.Fprintln(b.w, b.line(label, step, p, now))
			b.tenth = tenth
		}
		return
	}
	if !fresh && now.Sub(b.last) < redrawEvery && p.Bytes < p.TotalBytes {
		return
	}
	b.last = now
	b.draw(b.line(label, step, p, now))
}

func (b *bar) draw(line string) {
	pad := max(0, b.width-len(line))
	fmt.Fprintf(b.w, "\r%s%s", line, strings.Repeat(" ", pad))
	b.width = len(line)
}

// done ends the line.
func (b *bar) done() {
	if b.terminal && b.width > 0 {
		fmt.Fprintln(b.w)
		b.width = 0
	}
}

// say prints a line of its own above the bar.
func (b *bar) say(format string, args ...any) {
	if b.terminal && b.width > 0 {
		b.draw("")
		fmt.Fprint(b.w, "\r")
	}
	fmt.Fprintf(b.w, format+"\n", args...)
	b.width = 0
}

const barCells = 24

func (b *bar) line(label, step string, p inventory.Progress, now time.Time) string {
	if p.TotalBytes <= 0 {
		return fmt.Sprintf("%s %s", label, step)
	}
	if spent := now.Sub(b.start).Seconds(); p.BytesPerSec == 0 && spent > 0.5 && p.Bytes > 0 {
		p.BytesPerSec = float64(p.Bytes) / spent
		p.ETA = time.Duration(float64(p.TotalBytes-p.Bytes) / p.BytesPerSec * float64(time.Second)).Round(time.Second)
	}
	full := int(p.Bytes * barCells / p.TotalBytes)
	out := fmt.Sprintf("%s %s [%s%s] %3d%% %s of %s", label, step, strings.Repeat("=", full), strings.Repeat(" ", barCells-full),
		p.Percent(), inventory.FormatBytes(p.Bytes), inventory.FormatBytes(p.TotalBytes))
	if p.BytesPerSec > 0 {
		out += fmt.Sprintf("  %s/s  %s left", inventory.FormatBytes(int64(p.BytesPerSec)), p.ETA)
	}
	return out
}

// age is how long ago something was, in one unit.
func age(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := now.Sub(t)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
