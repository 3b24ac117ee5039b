package tftp

import (
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
	after func(time.Duration) <-chan time.Time
	// transfers is how many run.
	transfers func() int
	// sleepless and turns are the watcher's.
	sleepless, turns request

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
	a.sleepless.begin()
	for a.quick() {
		a.look()
	}
	a.turns.end()
	a.sleepless.end()
}

// crowdTransfers is how many transfers at once are a crowd.
const crowdTransfers = 16

// look keeps the server from interrupting others while there is a crowd. Each packet wakes
// it, and the kernel takes the processor from whoever has it for that; with a crowd another
// packet is always waiting, so it may as well take its turn and find several: 6 to 10 % more
// blocks with 100 clients. One machine alone would wait for that turn after each block.
func (a *awake) look() {
	if a.transfers() >= crowdTransfers {
		a.turns.begin()
	} else {
		a.turns.end()
	}
}

// quick waits a beat and reports the pace.
func (a *awake) quick() bool {
	before := a.blocks.Load()
	<-a.after(beat)
	return a.blocks.Load()-before >= quickBlocks
}
