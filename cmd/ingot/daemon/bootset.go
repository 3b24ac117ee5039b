package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"ingot/inventory"
	"ingot/pxe/bootsets"
	"ingot/pxe/trial"
)

// bootFiles implements pxe.BootSet.
type bootFiles struct{ store *bootsets.Store }

// Open implements pxe.BootSet.
func (b bootFiles) Open(set, name string) (*os.File, fs.FileInfo, error) {
	return b.store.OpenFile(set, name)
}

// current is the set that scripts name, empty for none.
func (b bootFiles) current() string {
	id, err := b.store.Current()
	if err != nil {
		return ""
	}
	return id
}

// openSets opens the sets of boot files.
func (d *Daemon) openSets(ctx context.Context) error {
	work, err := openBootWork(BootFiles{Data: d.cfg.Data, Mirror: d.cfg.BootEnvironment.Mirror, Suite: d.cfg.BootEnvironment.Suite,
		Modes: d.cfg.BootEnvironment.Modes, Log: d.log.With("component", "bootsets")}, d.now)
	if err != nil {
		return err
	}
	if err := work.sweep(ctx); err != nil {
		d.log.Warn("clear up", "err", err)
	}
	work.Keeper.Tell, work.Keeper.Machines = d.tell, d.bootSetMachines
	d.sets = work
	return nil
}

// bootSet makes the boot files at the first start: a first boot does not wait for a boot
// test. A server without an interface needs none.
func (d *Daemon) bootSet(ctx context.Context) error {
	id, err := d.sets.Keeper.Store.Current()
	if err == nil {
		_, err = d.sets.Keeper.Store.Set(id)
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(d.cfg.Interfaces) == 0 {
		d.log.Info("no interface is given (--interface): no boot files are served, the machine listeners are on loopback")
		return nil
	}
	d.log.Info("no boot files yet: making them from Debian's packages (about 110 MB, once)")
	made, err := d.sets.Keeper.Renew(ctx, bootsets.Order{Untested: true, Why: "the first boot files"}, func(string) {})
	if err != nil {
		return fmt.Errorf("boot files (ingot agent build makes them): %w", err)
	}
	how := "test them with: ingot agent test"
	if d.cfg.BootEnvironment.times() != "" {
		how = "they are tested by the schedule boot-environment, or with: ingot agent test"
	}
	d.log.Warn("machines boot files that were not tested", "set", made.Set.ID, "kernel", made.Set.Kernel, "do", how)
	return nil
}

// tell records an event that is about no machine.
func (d *Daemon) tell(ctx context.Context, p inventory.Payload) error {
	e, err := inventory.NewEvent(nil, d.now(), p)
	if err != nil {
		return err
	}
	return d.store.Update(ctx, func(x inventory.Tx) error {
		_, err := x.AddEvent(ctx, e)
		return err
	})
}

// silentSet is when an agent that is not heard no longer keeps its boot set.
const silentSet = time.Hour

// bootSetMachines counts the agents that run each set.
func (d *Daemon) bootSetMachines(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	return counts, d.store.View(ctx, func(x inventory.Tx) error {
		clear(counts)
		machines, err := x.Machines(ctx)
		for _, m := range machines {
			if a := m.Status.Agent; a != nil && a.BootSet != "" && d.now().Sub(m.Status.Beat) < silentSet {
				counts[a.BootSet]++
			}
		}
		return err
	})
}

// checkModes refuses what is no mode.
func checkModes(modes []string) error {
	for _, m := range modes {
		if !slices.Contains(trial.Modes, m) {
			return inventory.Invalid("boot mode %q (want bios, uefi or secureboot)", m)
		}
	}
	return nil
}
