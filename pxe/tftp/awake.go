package tftp

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// beat is how often the pace of blocks is looked at; quickBlocks is how many in a beat
	// make it worth to stay awake: each then takes half a millisecond or less.
	beat        = 8 * time.Millisecond
	quickBlocks = 16
)

// awake keeps the processors from sleeping while blocks move in quick succession. A
// transfer in lockstep waits for a packet after each block, and where nothing else is to
// be done the processor halts in between: waking it takes a hundred microseconds in a
// virtual machine and where deep sleep is allowed, which is more than all the rest of a
// block. The kernel is asked not to (PM QoS), for as long as it helps.
type awake struct {
	// ask asks the kernel; what it returns ends that.
	ask   func() (end func() error, err error)
	after func(time.Duration) <-chan time.Time
	log   *slog.Logger
	// crowd is looked at with each beat; refused is set when the kernel does not want to
	// be asked. Both are the watcher's.
	crowd   crowd
	refused bool

	blocks  atomic.Int64
	busy    atomic.Bool
	running sync.WaitGroup
}

// moved counts blocks.
func (a *awake) moved(blocks int64) {
	a.blocks.Add(blocks)
	if !a.busy.Load() && a.busy.CompareAndSwap(false, true) {
		a.running.Go(a.watch)
	}
}

// wait returns when the processors may sleep again, at most two beats after the last
// block.
func (a *awake) wait() { a.running.Wait() }

// watch asks once blocks move quickly, and ends that when they don't.
func (a *awake) watch() {
	defer a.busy.Store(false)
	if !a.quick() {
		return
	}
	end := a.begin()
	for a.quick() {
		a.crowd.look()
	}
	a.crowd.end()
	if err := end(); err != nil {
		a.log.Warn("let processors sleep again", "err", err)
	}
}

// begin asks, but never again where the kernel refused.
func (a *awake) begin() (end func() error) {
	if !a.refused {
		end, err := a.ask()
		if err == nil {
			return end
		}
		a.refused = true
		a.log.Debug("transfers are slower where processors sleep between two blocks", "err", err)
	}
	return func() error { return nil }
}

// quick waits a beat and reports the pace.
func (a *awake) quick() bool {
	before := a.blocks.Load()
	<-a.after(beat)
	return a.blocks.Load()-before >= quickBlocks
}
