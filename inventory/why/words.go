package why

import (
	"fmt"
	"time"
)

// ago is a time before now in words.
func (ev Evidence) ago(t time.Time) string {
	if d := ev.Now.Sub(t); d >= time.Second {
		return span(d) + " ago"
	}
	return "just now"
}

// span is a duration in the unit that a person would choose.
func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

var numbers = []string{"three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"}

// times is a count in words: once, twice, three times, …, 14 times.
func times(n int64) string {
	switch {
	case n <= 1:
		return "once"
	case n == 2:
		return "twice"
	case n <= 12:
		return numbers[n-3] + " times"
	}
	return fmt.Sprintf("%d times", n)
}
