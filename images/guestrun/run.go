package guestrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"time"

	"ingot/hypervisor/qemu"
)

// Run starts the machine and returns when its firmware runs. It ends with ctx, and when
// this program is killed. Errors are those of this host (a [*qemu.MissingError], a full
// disk) or inventory.ErrInvalid; what the guest does wrong comes later.
func Run(ctx context.Context, m Machine) (*Guest, error) {
	if err := m.setDefaults(); err != nil {
		return nil, fmt.Errorf("run guest: %w", err)
	}
	s, err := newScratch(m.Dir)
	if err != nil {
		return nil, fmt.Errorf("run guest %s: %w", m.Name, err)
	}
	g, err := start(ctx, &m, s)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("run guest %s: %w", m.Name, err), s.remove())
	}
	return g, nil
}

func start(ctx context.Context, m *Machine, s *scratch) (*Guest, error) {
	disk, err := m.makeDisk(ctx, s)
	if err != nil {
		return nil, err
	}
	if m.Seed != nil {
		if err := os.WriteFile(s.path(seedName), m.Seed, 0o600); err != nil {
			return nil, err
		}
	}
	if m.Accelerator == "" {
		m.Accelerator = qemu.AcceleratorTCG
		if ok, _ := qemu.ProbeKVM(ctx); ok {
			m.Accelerator = qemu.AcceleratorKVM
		}
	}
	g := &Guest{scratch: s, console: newConsole(), log: m.Log, Disk: disk.Path, Accelerated: m.Accelerator == qemu.AcceleratorKVM, sign: make(chan struct{}, 1)}
	if err := g.launch(ctx, m, disk); err != nil {
		if g.server != nil {
			err = errors.Join(err, g.server.close())
		}
		return nil, err
	}
	m.Log.Info("guest started", "pid", g.process.PID(), "firmware", m.Firmware, "accelerator", m.Accelerator)
	return g, nil
}

// launch starts the machine's server and process.
func (g *Guest) launch(ctx context.Context, m *Machine, disk qemu.Disk) (err error) {
	if m.Server != nil {
		if g.server, err = newServer(g.scratch.path(machineName), m.Server); err != nil {
			return err
		}
	}
	life, kill := context.WithCancel(ctx)
	if g.process, err = qemu.Start(life, m.config(g.scratch, disk)); err != nil {
		kill()
		return err
	}
	g.kill = kill
	g.life, g.fail = context.WithCancelCause(ctx)
	if err := g.connect(ctx, m); err != nil {
		kill()
		return errors.Join(err, g.process.Wait(context.WithoutCancel(ctx)))
	}
	return nil
}

// makeDisk makes the overlay, or an empty disk.
func (m *Machine) makeDisk(ctx context.Context, s *scratch) (qemu.Disk, error) {
	if m.Base == "" {
		path := s.path("disk.raw")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return qemu.Disk{}, err
		}
		return qemu.Disk{Path: path, Format: "raw"}, os.Truncate(path, m.SizeBytes)
	}
	o, err := NewOverlay(ctx, s.path("disk.qcow2"), m.Base, m.Format, m.SizeBytes)
	if err != nil {
		return qemu.Disk{}, err
	}
	if m.Prepare != nil {
		if err := m.Prepare(o, m); err != nil {
			return qemu.Disk{}, fmt.Errorf("prepare disk: %w", err)
		}
	}
	return qemu.Disk{Path: o.Path, Format: "qcow2"}, nil
}

// connect opens console and channel, lets the guest run and starts what watches it.
func (g *Guest) connect(ctx context.Context, m *Machine) error {
	console, err := g.process.Console(ctx)
	if err != nil {
		return err
	}
	port, err := g.process.Channel(ctx)
	if err != nil {
		return errors.Join(err, console.Close())
	}
	if err := g.process.Resume(ctx); err != nil {
		return errors.Join(err, console.Close(), port.Close())
	}
	g.channel = newChannel(port)
	g.owners.Go(func() { g.listen(console, m.MaxConsoleBytes) })
	g.owners.Go(func() { g.watchEnd() })
	g.owners.Go(func() { g.watchLimits(m.Stall, m.Limit) })
	g.owners.Go(func() { g.watchPanic() })
	return nil
}

// listen reads the console until the process ends.
func (g *Guest) listen(conn net.Conn, limit int64) {
	defer conn.Close()
	if g.console.listen(io.Reader(conn), limit, g.heard) {
		g.failGuest(guestErrorf("the guest flooded its console: more than %d bytes", limit))
		<-g.life.Done()
		g.process.Wait(context.Background()) // the connection stays: closed, QEMU would log on
	}
}

// watchEnd turns the process's end into a failure.
func (g *Guest) watchEnd() {
	g.process.Wait(context.Background())
	if err := g.process.ExitError(); err != nil {
		g.fail(fmt.Errorf("the virtual machine's process ended: %w", err))
		return
	}
	e := guestErrorf("the guest switched itself off")
	e.kind = ErrOff
	g.failGuest(e)
}

// watchLimits fails a guest that is silent for too long or takes too long, and kills it
// when its owner has not closed it some time later.
func (g *Guest) watchLimits(stall, limit time.Duration) {
	all, silent := time.NewTimer(limit), time.NewTimer(stall)
	defer all.Stop()
	defer silent.Stop()
	for g.life.Err() == nil {
		select {
		case <-g.sign:
			silent.Reset(stall)
		case <-silent.C:
			g.failGuest(guestErrorf("the guest was silent for %v", stall))
		case <-all.C:
			g.failGuest(guestErrorf("the guest took more than %v", limit))
		case <-g.life.Done():
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if g.process.Wait(ctx) != nil {
		g.kill()
	}
}

// dead is what a kernel or boot loader says that can't go on; deadLine is that to the end
// of its line, which a kernel writes and a prompt lacks.
var (
	dead     = regexp.MustCompile(`Kernel panic - not syncing[^\n]*|grub rescue>|No bootable device|BdsDxe: No bootable option or device was found|You are in emergency mode`)
	deadLine = regexp.MustCompile(`Kernel panic - not syncing[^\n]*\n`)
	// lateTimer is check_timer() of Linux' arch/x86/kernel/apic/io_apic.c, which counts ticks
	// in a busy loop. Under KVM it does not look.
	lateTimer = regexp.MustCompile(`IO-APIC \+ timer doesn't work`)
)

func (g *Guest) watchPanic() {
	said, err := g.WaitConsole(context.Background(), dead)
	if err != nil {
		return
	}
	if strings.HasPrefix(said, "Kernel panic") {
		said = g.restOfLine(said)
	}
	if !g.Accelerated && lateTimer.MatchString(said) {
		g.fail(ErrLate)
		return
	}
	g.failGuest(guestErrorf("the guest stopped with %q", said))
}

// restOfLine waits for the rest of a panic's line: the console brings it in pieces.
func (g *Guest) restOfLine(said string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if line, err := g.WaitConsole(ctx, deadLine); err == nil {
		return strings.TrimSpace(line)
	}
	return said
}

// failGuest records a failure of the guest with what it said before.
func (g *Guest) failGuest(e *GuestError) {
	e.Console = LastLines(g.ConsoleTail(), 12)
	g.fail(e)
}
