package agent

import (
	"log/slog"
	"time"

	"ingot/images/master"
)

// saveEvery is how often the marker on the disk is told how far the writing has come.
const saveEvery = 2 * time.Second

// writeLog notes in a disk's marker how many chunks of the image are written, so that the
// next boot goes on there after a power cut. The note is a hint: what it says is read
// back and hashed before it is believed, since a disk may lose what was in its cache.
type writeLog struct {
	disk master.Target
	mark marker
	now  func() time.Time
	log  *slog.Logger

	done  []bool
	saved time.Time
}

func newWriteLog(j *job, mark marker, log *slog.Logger) *writeLog {
	w := &writeLog{disk: j.disk, mark: mark, now: time.Now, log: log, done: make([]bool, len(j.manifest.Chunks)), saved: time.Now()}
	for i := range min(mark.Chunks, len(w.done)) {
		w.done[i] = true
	}
	return w
}

// before are the chunks that an earlier boot wrote; nil for none.
func (w *writeLog) before() []bool {
	if w.mark.Chunks == 0 {
		return nil
	}
	return append([]bool(nil), w.done...)
}

// wrote notes a chunk. The chunk at the start of the disk is written last, and does not
// hold up the count.
func (w *writeLog) wrote(i int) {
	w.done[i] = true
	if w.now().Sub(w.saved) < saveEvery {
		return
	}
	w.saved = w.now()
	n := max(w.mark.Chunks, 1)
	for n < len(w.done) && w.done[n] {
		n++
	}
	w.mark.Chunks = n
	if err := putMarker(w.disk, w.mark); err != nil {
		w.log.Warn("note progress on the disk", "err", err)
	}
}
