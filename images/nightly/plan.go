package nightly

import (
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"ingot/inventory"
)

// Plan is one thing to be done again and again.
type Plan struct {
	// Name is its name in the inventory and for people.
	Name string
	// Times are when.
	Times Times
	// Limit is how long a run may take.
	Limit time.Duration
}

// Times say when something is due, by cron's rules.
type Times struct {
	spec     string
	schedule cron.Schedule
}

// ParseTimes reads the five fields of crontab(5) (minute, hour, day of month, month, day
// of week), or @daily and the like, in local time or with CRON_TZ=ZONE before them.
// Anything else is inventory.ErrInvalid.
func ParseTimes(spec string) (Times, error) {
	if strings.HasPrefix(spec, "@every") {
		return Times{}, inventory.Invalid("times %q: @every begins to count anew whenever the server starts: name the hours", spec)
	}
	s, err := cron.ParseStandard(spec)
	if err != nil {
		return Times{}, inventory.Invalid("times %q: %v (want five fields like \"0 2 * * *\": minute, hour, day of month, month, day of week)", spec, err)
	}
	t := Times{spec, s}
	if t.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Times{}, inventory.Invalid("times %q: there is no such day", spec)
	}
	return t, nil
}

// String is the text that was read.
func (t Times) String() string { return t.spec }

// Next is the first time after now.
func (t Times) Next(now time.Time) time.Time { return t.schedule.Next(now) }
