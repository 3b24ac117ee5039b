package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// header tells when and where this was measured.
func (b *bench) header() string {
	var u unix.Utsname
	kernel := "unknown"
	if unix.Uname(&u) == nil {
		kernel = unix.ByteSliceToString(u.Release[:])
	}
	how := fmt.Sprintf("%d rounds in turn", b.rounds)
	if b.quick {
		how += ", small sizes (--quick)"
	}
	load, _, _ := strings.Cut(line("/proc/loadavg", ""), " ")
	return fmt.Sprintf("Measured %s on %d cores (%s), %s of memory, Linux %s, load %s at the start; %s.\n"+
		"Medians [least..most]; a ratio is Ingot's figure by the peer's, taken within each round.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), processor(), memory(), kernel, load, how)
}

// line returns the rest of the first line of a file that begins with a prefix.
func line(path, prefix string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for scan := bufio.NewScanner(f); scan.Scan(); {
		if rest, ok := strings.CutPrefix(scan.Text(), prefix); ok {
			return strings.TrimSpace(strings.TrimLeft(rest, " \t:"))
		}
	}
	return ""
}

func processor() string {
	if name := line("/proc/cpuinfo", "model name"); name != "" {
		return name
	}
	return runtime.GOARCH
}

func memory() string {
	var kib float64
	if _, err := fmt.Sscan(line("/proc/meminfo", "MemTotal"), &kib); err != nil {
		return "an unknown amount"
	}
	return fmt.Sprintf("%.0f GiB", kib/(1<<20))
}

// markdown is the contest's table.
func (c *contest) markdown() string {
	var t strings.Builder
	fmt.Fprintf(&t, "### %s\n\n", c.title)
	if len(c.got) == 0 {
		return t.String()
	}
	t.WriteString("| |")
	for _, f := range c.figures {
		fmt.Fprintf(&t, " %s | ratio |", strings.TrimSpace(f.name+", "+f.unit))
	}
	t.WriteString("\n| --- |" + strings.Repeat(" --- | --- |", len(c.figures)) + "\n")
	for i, who := range c.contestants {
		fmt.Fprintf(&t, "| %s |", who.name)
		for _, f := range c.figures {
			ratio := ""
			if i > 0 {
				ratio = spread(c.ratios(f, against(who.name)), "%.2f")
			}
			fmt.Fprintf(&t, " %s | %s |", spread(c.of(i, f.name), ""), ratio)
		}
		t.WriteString("\n")
	}
	t.WriteString("\n")
	for _, goal := range c.targets {
		fmt.Fprintf(&t, "- %s\n", c.verdict(goal))
	}
	for _, who := range c.contestants {
		if reason, ok := c.failed[who.name]; ok {
			fmt.Fprintf(&t, "- %s failed: %s\n", who.name, strings.Join(strings.Fields(reason), " "))
		}
	}
	if c.note != "" {
		fmt.Fprintf(&t, "- %s\n", c.note)
	}
	return t.String() + "\n"
}

// verdict says whether a target is met, and by how much it is missed.
func (c *contest) verdict(goal target) string {
	f := c.figure(goal.figure)
	sign, have, what := "≤", 0.0, f.unit
	if f.more {
		sign = "≥"
	}
	if goal.to == alone {
		have = middle(c.of(0, f.name))
	} else {
		have, what = middle(c.ratios(f, goal.to)), "× "+string(goal.to)
		if goal.to == best {
			what += " (" + string(c.best(f)) + ")"
		}
	}
	text := fmt.Sprintf("target: %s %s %s %s: ", f.name, sign, number(goal.limit), what)
	switch {
	case math.IsNaN(have):
		return text + "not measured"
	case f.more && have >= goal.limit, !f.more && have <= goal.limit:
		return text + "**met** (" + number(have) + ")"
	}
	return text + fmt.Sprintf("**missed** (%s, off by %.0f %%)", number(have), 100*math.Abs(have-goal.limit)/goal.limit)
}

// spread is a median with its extremes.
func spread(v []float64, format string) string {
	text := number
	if format != "" {
		text = func(x float64) string { return fmt.Sprintf(format, x) }
	}
	switch len(v) {
	case 0:
		return "–"
	case 1:
		return text(v[0])
	}
	return fmt.Sprintf("%s [%s..%s]", text(middle(v)), text(slices.Min(v)), text(slices.Max(v)))
}

// number has three digits that mean something.
func number(x float64) string {
	switch a := math.Abs(x); {
	case a >= 100 || a == math.Trunc(a):
		return fmt.Sprintf("%.0f", x)
	case a >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}
