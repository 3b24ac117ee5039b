package agent

import (
	"log/slog"
	"time"

	"golang.org/x/sys/unix"
)

// sinceKernel is the time since the kernel started.
func sinceKernel() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano()).Round(time.Millisecond)
}

// clockSlack is what the clock may be off before it is set.
const clockSlack = 2 * time.Second

func setClock(now time.Time, log *slog.Logger) {
	if off := time.Until(now).Abs(); off < clockSlack {
		return
	}
	tv := unix.NsecToTimeval(now.UnixNano())
	if err := unix.Settimeofday(&tv); err != nil {
		log.Warn("set clock", "err", err)
	}
}
