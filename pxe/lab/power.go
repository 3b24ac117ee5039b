package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"ingot/hypervisor/qemu"
)

// Action is what can be done to a machine's power.
type Action string

// The actions. Off, Cycle and Reset do not ask the guest.
const (
	On    Action = "on"
	Off   Action = "off"
	Cycle Action = "cycle"
	Reset Action = "reset"
	// Shutdown presses the power button: the guest is asked, nobody waits for it.
	Shutdown Action = "shutdown"
)

// Actions are all actions, for help texts and completion.
var Actions = []Action{On, Off, Cycle, Reset, Shutdown}

// Power switches a machine. On of a machine that is on, and Off of one that is
// off, are no errors; Reset and Shutdown need one that is on (qemu.ErrNotRunning).
func (l *Lab) Power(ctx context.Context, name string, a Action) error {
	m, number, err := l.spec.machine(name)
	if err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(l.machineDir(name), lockName))
	if err != nil {
		return fmt.Errorf("power %s of %q: %w", a, name, err)
	}
	defer unlock()
	if err := l.power(ctx, m, number, a); err != nil {
		return fmt.Errorf("power %s of %q: %w", a, name, err)
	}
	return nil
}

func (l *Lab) power(ctx context.Context, m Machine, number int, a Action) error {
	switch a {
	case On:
		return l.on(ctx, m, number)
	case Off:
		return off(ctx, l.machineDir(m.Name))
	case Cycle:
		if err := off(ctx, l.machineDir(m.Name)); err != nil {
			return err
		}
		return l.on(ctx, m, number)
	case Reset, Shutdown:
		p, err := qemu.Attach(l.machineDir(m.Name))
		if err != nil {
			return err
		}
		if a == Reset {
			return p.Reset(ctx)
		}
		return p.Powerdown(ctx)
	}
	return fmt.Errorf("unknown action: use one of %v", Actions)
}

func (l *Lab) on(ctx context.Context, m Machine, number int) error {
	if p, err := qemu.Attach(l.machineDir(m.Name)); err == nil && p.Running() {
		return nil
	}
	c, err := l.config(m, number)
	if err != nil {
		return err
	}
	if err := l.spec.upTaps(ctx, m, number); err != nil {
		return err
	}
	_, err = qemu.Start(ctx, c)
	return err
}

func off(ctx context.Context, dir string) error {
	p, err := qemu.Attach(dir)
	if errors.Is(err, qemu.ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.PowerOff(ctx)
}

// BootNetworkOnce makes a UEFI machine that is off, and was on before, boot from
// the network at its next power-on only, as a BMC's boot override does. A BIOS
// machine has no such memory: its order is fixed by its specification.
func (l *Lab) BootNetworkOnce(ctx context.Context, name string) error {
	m, _, err := l.spec.machine(name)
	if err != nil {
		return err
	}
	if !m.Firmware.UEFI() {
		return fmt.Errorf("boot %q from the network once: %w for firmware %q", name, errors.ErrUnsupported, m.Firmware)
	}
	unlock, err := lock(ctx, filepath.Join(l.machineDir(name), lockName))
	if err != nil {
		return err
	}
	defer unlock()
	if p, err := qemu.Attach(l.machineDir(name)); err == nil && p.Running() {
		return fmt.Errorf("boot %q from the network once: it is on, switch it off first", name)
	}
	return qemu.SetBootNext(l.machineDir(name))
}

// Status is a machine and what it does now.
type Status struct {
	Machine Machine `json:"machine"`
	On      bool    `json:"on"`
	// PID is the process of a machine that is on, else 0.
	PID int `json:"pid"`
}

// List returns the machines in the order they were racked.
func (l *Lab) List() ([]Status, error) {
	now, err := readSpec(l.dir)
	if err != nil {
		return nil, err
	}
	var list []Status
	for _, m := range now.Machines {
		st := Status{Machine: m}
		p, err := qemu.Attach(l.machineDir(m.Name))
		if err != nil && !errors.Is(err, qemu.ErrNotRunning) {
			return nil, err
		}
		if err == nil {
			st.On, st.PID = true, p.PID()
		}
		list = append(list, st)
	}
	return list, nil
}

// Process is the running process of a machine, to wait for it or to take a
// picture of its screen. qemu.ErrNotRunning means that it is off.
func (l *Lab) Process(name string) (*qemu.Process, error) {
	if _, _, err := l.spec.machine(name); err != nil {
		return nil, err
	}
	return qemu.Attach(l.machineDir(name))
}

// Console connects to a machine's serial console, for one client at a time.
func (l *Lab) Console(ctx context.Context, name string) (net.Conn, error) {
	p, err := l.Process(name)
	if err != nil {
		return nil, err
	}
	return p.Console(ctx)
}

// ConsoleLog is the path of the file with everything a machine's console said.
func (l *Lab) ConsoleLog(name string) string { return qemu.ConsoleLog(l.machineDir(name)) }

// DiskPath is the file of a machine's disk, counted from 0.
func (l *Lab) DiskPath(name string, disk int) string { return l.diskPath(name, disk) }
