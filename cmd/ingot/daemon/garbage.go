package daemon

import (
	"context"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// garbagePercent is for a server that has time: 1,000 machines fit into 100 MB with it.
// memoryLimitBytes is for one that has none: 200,000 leases make so much garbage. On a
// smaller machine it is an eighth of the memory, but enough for an import of an image.
const (
	garbagePercent   = 200
	memoryLimitBytes = 2 << 30
	memoryLeastBytes = 512 << 20
)

// busyPackets in a second is when a rush of clients is on. Until it is over garbage is
// collected only at the memory limit: on a machine with two cores, collecting takes 200 ms
// then, in which exchanges take three times as long.
const (
	busyPackets  = 2000
	garbageEvery = 250 * time.Millisecond
)

// limitMemory sets the limits of the garbage collector, unless the environment does, and
// reports whether they are ours.
func limitMemory() bool {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit())
	}
	if os.Getenv("GOGC") != "" {
		return false
	}
	debug.SetGCPercent(garbagePercent)
	return true
}

func memoryLimit() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return memoryLimitBytes
	}
	return min(memoryLimitBytes, max(memoryLeastBytes, int64(info.Totalram)*int64(info.Unit)/8))
}

// postponeGarbage holds back the collector while clients rush, as packets counts them,
// until ctx ends.
func postponeGarbage(ctx context.Context, packets func() int64, tick <-chan time.Time, set func(percent int)) {
	postponed := false
	for last := packets(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		now := packets()
		if busy := now-last >= busyPackets*int64(garbageEvery)/int64(time.Second); busy != postponed {
			postponed = busy
			set(percentWhen(busy))
		}
		last = now
	}
}

func percentWhen(busy bool) int {
	if busy {
		return -1 // the memory limit still holds
	}
	return garbagePercent
}

// collect is postponeGarbage by the DHCP server's packets.
func (d *Daemon) collect(ctx context.Context) {
	tick := time.NewTicker(garbageEvery)
	defer tick.Stop()
	received := &d.boot.DHCP().Stats().Received
	postponeGarbage(ctx, received.Load, tick.C, func(percent int) { debug.SetGCPercent(percent) })
}
