package daemon

import (
	"time"

	"ingot/images/nightly"
	"ingot/inventory"
)

// BootEnvironment says how the boot files are renewed.
type BootEnvironment struct {
	// Times are cron's five fields: when newer packages are looked for, built and tested.
	// Empty is each night where a mirror is named, and never where none is.
	Times string `yaml:"times" mapstructure:"times"`
	// Mirror is the URL of a Debian mirror, Suite a code name; empty is what this host's
	// apt has.
	Mirror string `yaml:"mirror" mapstructure:"mirror"`
	Suite  string `yaml:"suite" mapstructure:"suite"`
	// Modes are the firmwares to test with: bios, uefi, secureboot; none is all.
	Modes     []string      `yaml:"modes" mapstructure:"modes"`
	TimeLimit time.Duration `yaml:"time_limit" mapstructure:"time_limit"`
}

// bootSchedule is the name of the boot environment's schedule.
const bootSchedule = "boot-environment"

// nightlyTimes is when a server with a mirror looks for newer packages.
const nightlyTimes = "30 3 * * *"

func (b BootEnvironment) times() string {
	if b.Times == "" && b.Mirror != "" {
		return nightlyTimes
	}
	return b.Times
}

func (b BootEnvironment) check() error {
	if b.Times != "" {
		if _, err := nightly.ParseTimes(b.Times); err != nil {
			return bad("boot_environment.times", "%v", err)
		}
	}
	if b.Mirror != "" && !isURL(b.Mirror) {
		return bad("boot_environment.mirror", "%q (want http:// or https://)", b.Mirror)
	}
	if b.TimeLimit <= 0 {
		return bad("boot_environment.time_limit", "%s (want a time above zero, like 2h)", b.TimeLimit)
	}
	if err := checkModes(b.Modes); err != nil {
		return bad("boot_environment.modes", "%v", err)
	}
	return nil
}

// plan is the scheduler's form; ok is false without a schedule.
func (b BootEnvironment) plan() (p nightly.Plan, ok bool, err error) {
	if b.times() == "" {
		return p, false, nil
	}
	times, err := nightly.ParseTimes(b.times())
	return nightly.Plan{Name: bootSchedule, Times: times, Limit: b.TimeLimit}, true, err
}

// reserved refuses a nightly build with that name.
func reserved(name string) error {
	if name == bootSchedule {
		return inventory.Invalid("nightly %s: the name is taken by the boot environment's schedule", name)
	}
	return nil
}
