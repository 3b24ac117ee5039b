package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"ingot/inventory"
	"ingot/pxe/agent/facts"
	"ingot/pxe/agentapi"
)

// Agent is one boot of the agent.
type Agent struct {
	version string
	params  Params
	boot    string
	log     *slog.Logger
	out     *logBuffer
	client  *agentapi.Client
	http    *http.Client
	lease   *lease
	// facts are the newest; orders choose disks from a fresh reading.
	facts      atomic.Pointer[inventory.Facts]
	neighbours *facts.Neighbours
	// done is the generation reported last, highest the highest that was seen.
	done, highest int64
	beats         beater
}

// Main is PID 1. It never returns: it ends in a reboot, or in a crash that the kernel
// turns into a panic with the reason in its log. As any other process it ends at once
// with exit code 2: it would mount over the directories of the system that runs it, and
// reboot it.
func Main(version string) {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "ingot-agent is the init of Ingot's boot environment, and runs as nothing else")
		os.Exit(2)
	}
	out := newLogBuffer(os.Stderr)
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: noTime}))
	a := &Agent{version: version, boot: agentapi.NewBoot(), log: log, out: out}
	pause := orderedPause
	if err := a.run(context.Background()); err != nil {
		log.Error("agent ends", "err", err)
		pause = failedPause
	}
	time.Sleep(pause)
	reboot(log)
}

// The pauses before a reboot: so that the log gets out, and, after a failure, so that a
// person can read it and a broken machine doesn't spin.
const (
	orderedPause = 500 * time.Millisecond
	failedPause  = 15 * time.Second
)

// noTime drops the time from log lines: the board's clock may be wrong, and the server
// stamps lines as they come.
func noTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func (a *Agent) run(ctx context.Context) error {
	a.log.Info("ingot agent", "version", a.version, "boot", a.boot)
	if err := mountAll(); err != nil {
		return err
	}
	if err := crashToKernel(); err != nil {
		a.log.Warn("crash output", "err", err)
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("read kernel command line: %w", err)
	}
	if a.params, err = ParseParams(string(cmdline)); err != nil {
		return err
	}
	if err := a.prepare(ctx); err != nil {
		return err
	}
	return a.serve(ctx)
}

// prepare brings the machine to where the server can be asked: modules, network,
// second stage, all modules.
func (a *Agent) prepare(ctx context.Context) error {
	modules, err := newLoader()
	if err != nil {
		return err
	}
	if err := errors.Join(modules.load("af_packet", "virtio_pci", "virtio_net"), modules.coldplug()); err != nil {
		a.log.Warn("some modules", "err", err)
	}
	if a.neighbours, err = facts.Listen(ctx, a.log); err != nil {
		a.log.Warn("listen for LLDP", "err", err)
	}
	if a.lease, err = connect(ctx, a.params.MAC, a.log); err != nil {
		return err
	}
	a.client = agentapi.NewClient(a.params.API, a.params.Pin)
	a.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, ResponseHeaderTimeout: 30 * time.Second}}
	if err := fetchStage(ctx, a.http, a.stageURL()); err != nil {
		return err
	}
	if modules, err = newLoader(); err != nil {
		return err
	}
	if err := errors.Join(modules.coldplug(), modules.load(extraModules...), mountAll()); err != nil {
		a.log.Warn("some modules", "err", err)
	}
	return settle(ctx)
}

// extraModules serve what no modalias names.
var extraModules = []string{"efivarfs", "netconsole", "ipmi_devintf", "ipmi_si", "sd_mod", "nvme", "ses", "dm_mod", "configfs"}

// settleWait is how long disks may take to appear after their drivers were loaded.
const settleWait = 5 * time.Second

// settle waits until the list of block devices has stood still for a moment.
func settle(ctx context.Context) error {
	deadline := time.Now().Add(settleWait)
	before, since := -1, time.Now()
	for time.Now().Before(deadline) {
		entries, _ := os.ReadDir("/sys/block") // absent means none yet
		if len(entries) != before {
			before, since = len(entries), time.Now()
		}
		if time.Since(since) > 700*time.Millisecond {
			return nil
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (a *Agent) stageURL() string {
	mac := a.params.MAC
	if mac == "" {
		return a.params.HTTP + "/boot/modules.img"
	}
	return a.params.HTTP + "/boot/" + mac.Hyphened() + "/modules.img"
}

// serve speaks with the server until an order ends this boot.
func (a *Agent) serve(ctx context.Context) error {
	if err := a.read(ctx); err != nil {
		return err
	}
	welcome, err := a.hello(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.out.ship(ctx, a.client.Log) })
	g.Go(func() error { return kernelLog(ctx, a.out) })
	g.Go(func() error { return a.lease.keep(ctx, a.log) })
	g.Go(func() error { return a.beats.run(ctx, a.client, welcome.BeatEvery) })
	g.Go(func() error { return a.watchCables(ctx) })
	g.Go(func() error {
		defer cancel()
		a.netconsole(welcome)
		return a.work(ctx)
	})
	return g.Wait()
}

// read collects the facts.
func (a *Agent) read(ctx context.Context) error {
	f, err := facts.Collect(ctx, facts.Options{BootMAC: a.params.MAC, AgentVersion: a.version, Neighbours: a.neighbours, Log: a.log})
	if err != nil {
		return fmt.Errorf("read facts: %w", err)
	}
	a.facts.Store(f)
	a.log.Info("facts", "summary", f.Summary(), "unread", len(f.Unread))
	return nil
}

// hello opens the session; it tries until the server lets us in, since a person may
// have to settle a conflict first.
func (a *Agent) hello(ctx context.Context) (agentapi.Welcome, error) {
	f := a.facts.Load()
	h := agentapi.Hello{Boot: a.boot, Identity: f.Identity(), BootMAC: a.params.MAC, Firmware: f.Firmware.Mode,
		SecureBoot: f.Firmware.SecureBoot, Kernel: f.Agent.Kernel, Version: a.version}
	for {
		w, err := a.client.Hello(ctx, h)
		if err == nil {
			setClock(w.Time, a.log)
			a.log.Info("session is open", "machine", w.Name)
			return w, a.sendFacts(ctx)
		}
		a.log.Warn("hello", "err", err)
		if err := sleep(ctx, 3*time.Second); err != nil {
			return w, err
		}
	}
}

func (a *Agent) sendFacts(ctx context.Context) error {
	f := *a.facts.Load()
	f.Agent.ToFacts = sinceKernel()
	a.facts.Store(&f)
	for {
		err := a.client.Facts(ctx, &f)
		if err == nil {
			return nil
		}
		a.log.Warn("send facts", "err", err)
		var final *agentapi.FinalError
		if errors.As(err, &final) {
			return err
		}
		if err := sleep(ctx, 2*time.Second); err != nil {
			return err
		}
	}
}

// cablePause gathers what several ports say at about the same time, and bounds what a
// chatty peer can cause.
const cablePause = 5 * time.Second

// watchCables sends the facts again when LLDP tells of a neighbour. It reads nothing
// else, so it may run while a disk is written.
func (a *Agent) watchCables(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.neighbours.Changed():
		}
		if sleep(ctx, cablePause) != nil {
			return nil
		}
		if err := a.client.Facts(ctx, a.neighbours.Join(a.facts.Load())); err != nil {
			a.log.Warn("send facts", "err", err)
		}
	}
}

// sinceKernel is the time since the kernel started.
func sinceKernel() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
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

func (a *Agent) netconsole(w agentapi.Welcome) {
	u, err := url.Parse(a.params.API)
	if err != nil || w.NetconsolePort == 0 {
		return
	}
	server, err := netip.ParseAddr(u.Hostname())
	if err == nil {
		err = startNetconsole(a.lease, server, w.NetconsolePort)
	}
	if err != nil {
		a.log.Warn("netconsole", "err", err)
	}
}

func reboot(log *slog.Logger) {
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART); err != nil {
		log.Error("reboot", "err", err)
	}
	select {}
}
