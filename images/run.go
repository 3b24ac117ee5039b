package images

import (
	"sort"

	"ingot/images/master"
)

// run is a stretch of a data file that lies in one piece in a pack, or that is computed.
type run struct {
	// offset and length place it in the data file.
	offset, length int64
	// pack is the pack's number, and packAt where in it; 0 for computed bytes, of part.
	pack   int
	packAt int64
	part   master.Part
}

func (r run) end() int64 { return r.offset + r.length }

// newRuns joins the frames that follow each other in their pack.
func newRuns(l *master.Layout, places []location) []run {
	var runs []run
	for _, part := range l.Parts() {
		if part.Chunk < 0 {
			runs = append(runs, run{offset: part.Offset, length: part.Length, part: part})
			continue
		}
		p := places[part.Chunk]
		if n := len(runs); n > 0 && runs[n-1].pack == p.pack && runs[n-1].packAt+runs[n-1].length == p.offset {
			runs[n-1].length += p.length
			continue
		}
		runs = append(runs, run{offset: part.Offset, length: part.Length, pack: p.pack, packAt: p.offset})
	}
	return runs
}

// findRun returns the run that holds an offset of the data file, and false behind its end.
func findRun(runs []run, offset int64) (run, bool) {
	i := sort.Search(len(runs), func(i int) bool { return runs[i].end() > offset })
	if offset < 0 || i == len(runs) {
		return run{}, false
	}
	return runs[i], true
}
