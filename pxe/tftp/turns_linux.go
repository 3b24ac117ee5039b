package tftp

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// takeTurns makes this process' threads SCHED_BATCH (sched(7)): they get as much of the
// processors, but waking one does not interrupt who runs. Anybody may. What was set
// otherwise from outside is left alone. Programs that are started meanwhile keep it.
func takeTurns() (end func() error, err error) {
	own, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return nil, fmt.Errorf("read scheduling policy: %w", err)
	}
	if own.Policy != unix.SCHED_NORMAL {
		return nil, fmt.Errorf("scheduling policy %d was set for this process", own.Policy)
	}
	if _, err := reschedule(unix.SCHED_NORMAL, unix.SCHED_BATCH); err != nil {
		return nil, errors.Join(err, interrupt())
	}
	return interrupt, nil
}

// interrupt is the end of takeTurns. A thread that begins meanwhile has the policy of
// the one that began it, so it looks until all have the normal one.
func interrupt() error {
	for {
		changed, err := reschedule(unix.SCHED_BATCH, unix.SCHED_NORMAL)
		if err != nil || changed == 0 {
			return err
		}
	}
}

// reschedule changes the policy of the threads that have another one, and counts them.
func reschedule(from, to uint32) (changed int, err error) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, fmt.Errorf("list threads: %w", err)
	}
	for _, entry := range threads {
		id, err := strconv.Atoi(entry.Name())
		if err != nil {
			return changed, fmt.Errorf("list threads: %w", err)
		}
		attr, err := unix.SchedGetAttr(id, 0)
		if err == nil && attr.Policy == from {
			attr.Policy = to
			changed++
			err = unix.SchedSetAttr(id, attr, 0)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) { // ended since
			return changed, fmt.Errorf("change scheduling policy: %w", err)
		}
	}
	return changed, nil
}
