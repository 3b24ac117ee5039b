package master

// skipBytes is the longest stretch of hole frames between two chunks that is
// read and thrown away rather than left out by a second request.
const skipBytes = 64 << 10

// byteRange is a run of chunks that one request brings.
type byteRange struct{ chunks []int }

// plan groups chunks that are near each other in the data file.
func plan(l *Layout, wanted []int, rangeBytes int64) []byteRange {
	var ranges []byteRange
	for _, i := range wanted {
		n := len(ranges)
		if n > 0 {
			group := ranges[n-1].chunks
			first, last, next := l.Frame(group[0]), l.Frame(group[len(group)-1]), l.Frame(i)
			if next.Offset-last.End() <= skipBytes && next.End()-first.Offset <= rangeBytes {
				ranges[n-1].chunks = append(group, i)
				continue
			}
		}
		ranges = append(ranges, byteRange{[]int{i}})
	}
	return ranges
}
