package agent

import "strings"

// fnmatch matches a modalias with a pattern of modules.alias, as modprobe does with
// fnmatch(3) and no flags: * and ? match every character, a slash too, and [...] is a
// set. path.Match isn't that: it stops at slashes, which DMI strings have. A pattern
// with an open bracket matches nothing.
func fnmatch(pattern, name string) bool {
	for pattern != "" {
		switch pattern[0] {
		case '*':
			rest := strings.TrimLeft(pattern, "*")
			for i := 0; i <= len(name); i++ {
				if fnmatch(rest, name[i:]) {
					return true
				}
			}
			return false
		case '[':
			end := strings.IndexByte(pattern, ']')
			if name == "" || end < 2 || !inSet(pattern[1:end], name[0]) {
				return false
			}
			pattern = pattern[end:]
		case '?':
			if name == "" {
				return false
			}
		default:
			if name == "" || pattern[0] != name[0] {
				return false
			}
		}
		pattern, name = pattern[1:], name[1:]
	}
	return name == ""
}

// inSet reports whether c is in a set like "0-9A-F"; a first ! turns it round.
func inSet(set string, c byte) bool {
	not := set[0] == '!'
	if not {
		set = set[1:]
	}
	for i := 0; i < len(set); i++ {
		from, to := set[i], set[i]
		if i+2 < len(set) && set[i+1] == '-' {
			to = set[i+2]
			i += 2
		}
		if from <= c && c <= to {
			return !not
		}
	}
	return not
}
