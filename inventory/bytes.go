package inventory

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseBytes reads a size such as 512, 100G, 1.5TiB. G and GB are powers of 1000, as
// printed on disks; Gi and GiB are powers of 1024.
func ParseBytes(s string) (int64, error) {
	text := strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(s)), "B")
	base := 1000.0
	if strings.HasSuffix(text, "I") {
		text, base = strings.TrimSuffix(text, "I"), 1024
	}
	factor := 1.0
	if i := strings.IndexAny("KMGTP", lastByte(text)); i >= 0 {
		text = text[:len(text)-1]
		for range i + 1 {
			factor *= base
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(n*factor >= 0 && n*factor <= 1<<62) {
		return 0, Invalid("size %q (want a number with K, M, G, T or Ki, Mi, Gi, Ti)", s)
	}
	return int64(n * factor), nil
}

func lastByte(s string) string {
	if s == "" {
		return "?"
	}
	return s[len(s)-1:]
}

// FormatBytes writes a size in powers of 1000 with three digits ("10.7 GB").
func FormatBytes(n int64) string {
	v, units := float64(n), []string{"B", "kB", "MB", "GB", "TB", "PB"}
	i := 0
	for v >= 999.5 && i < len(units)-1 {
		v /= 1000
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return strconv.FormatFloat(v, 'f', max(0, 3-digits(v)), 64) + " " + units[i]
}

func digits(v float64) int {
	switch {
	case v >= 99.95:
		return 3
	case v >= 9.995:
		return 2
	}
	return 1
}
