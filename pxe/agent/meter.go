package agent

import (
	"time"

	"ingot/inventory"
)

// meter turns byte counts into a rate and a remaining time.
type meter struct {
	step  string
	start time.Time
}

func newMeter(step string) meter { return meter{step, time.Now()} }

func (m meter) at(done, total, wire int64) *inventory.Progress {
	p := &inventory.Progress{Step: m.step, Bytes: done, TotalBytes: total, WireBytes: wire}
	if spent := time.Since(m.start).Seconds(); spent > 0.2 && done > 0 {
		p.BytesPerSec = float64(done) / spent
		p.ETA = time.Duration(float64(total-done) / p.BytesPerSec * float64(time.Second)).Round(time.Second)
	}
	return p
}
