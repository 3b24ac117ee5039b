package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

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
	fetch   fetcher
	lease   *lease

	// client has the token of the last hello; lost tells the session's keeper that the
	// server doesn't know a client's token any more.
	client atomic.Pointer[agentapi.Client]
	lost   chan *agentapi.Client
	// retry is the pause before the server is asked again.
	retry time.Duration

	// facts are the newest; orders choose disks from a fresh reading.
	facts      atomic.Pointer[inventory.Facts]
	neighbours *facts.Neighbours
	// done is the generation reported last, highest the highest that was seen.
	done, highest int64
	beats         beater
	machine       machine
}

// machine is what orders work on.
type machine struct {
	// disks lists the disks, open opens one by its name.
	disks func(context.Context) ([]inventory.Disk, error)
	open  func(name string) (disk, error)
	efi   firmware
}

// retryPause is the pause before the server is asked again.
const retryPause = 2 * time.Second

func newAgent(version string, log *slog.Logger, out *logBuffer) *Agent {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, ResponseHeaderTimeout: 30 * time.Second}}
	return &Agent{version: version, boot: agentapi.NewBoot(), log: log, out: out, fetch: fetcher{client, retryPause},
		lost: make(chan *agentapi.Client, 1), retry: retryPause,
		machine: machine{disks: facts.Disks, open: openDisk, efi: firmware{efivarsDir}}}
}

// The pauses before a reboot: so that the console gets out, and, after a failure, so that
// a person can read it and a broken machine doesn't spin.
const (
	orderedPause = 500 * time.Millisecond
	failedPause  = 15 * time.Second
	// flushWait bounds the last words to the server.
	flushWait = 5 * time.Second
)

// run is the agent's life: it ends when an order says so, or with the error that keeps
// it from working.
func run(ctx context.Context, version string) error {
	out := newLogBuffer(os.Stderr)
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: noTime}))
	log.Info("ingot agent", "version", version, "after", sinceKernel())
	if err := mountAll(); err != nil {
		return err
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("read kernel command line: %w", err)
	}
	params, err := ParseParams(string(cmdline))
	if err != nil {
		return err
	}
	modules, err := newLoader("/", nil)
	if err != nil {
		return err
	}
	// Random numbers wait for the kernel's generator, which a virtual machine's device
	// feeds: so modules come before the first of them.
	modulesFailed := errors.Join(modules.load(firstModules...), modules.coldplug())
	a := newAgent(version, log, out)
	a.params = params
	if modulesFailed != nil {
		log.Warn("some modules", "err", modulesFailed)
	}
	err = a.prepare(ctx, modules)
	if err == nil {
		err = a.serve(ctx)
	}
	if err != nil {
		log.Error("agent ends", "err", err)
	}
	a.lastWords()
	return err
}

// lastWords sends what the log still has.
func (a *Agent) lastWords() {
	c := a.client.Load()
	if c == nil || c.Token == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushWait)
	defer cancel()
	_ = a.out.flush(ctx, c.Log) // they are on the console too
}

// stageURL is where the second stage is.
func (a *Agent) stageURL() string {
	folder := a.params.HTTP + "/boot/"
	if a.params.MAC != "" {
		folder += a.params.MAC.Hyphened() + "/"
	}
	return folder + inventory.SetFolder(a.params.Set) + "modules.img"
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
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.keepSession(ctx) })
	g.Go(func() error {
		return a.out.ship(ctx, func(ctx context.Context, text []byte) error { return a.client.Load().Log(ctx, text) }, gather)
	})
	g.Go(func() error { return kernelLog(ctx, "/dev/kmsg", a.out) })
	g.Go(func() error {
		return a.lease.keep(ctx, a.log, func(l *lease) { a.netconsole(l, welcome.NetconsolePort) })
	})
	g.Go(func() error { return a.beat(ctx, welcome.BeatEvery) })
	g.Go(func() error { return a.watchCables(ctx) })
	g.Go(func() error {
		defer cancel()
		a.netconsole(a.lease, welcome.NetconsolePort)
		if err := a.breakHere(ctx); err != nil {
			return err
		}
		return a.work(ctx)
	})
	return g.Wait()
}

// breakHere goes wrong where the command line says so.
func (a *Agent) breakHere(ctx context.Context) error {
	switch a.params.Break {
	case BreakPanic:
		panic("ingot.break=panic stands on the kernel's command line")
	case BreakExit:
		return errors.New("ingot.break=exit stands on the kernel's command line")
	case BreakHang:
		a.log.Warn("ingot.break=hang stands on the kernel's command line")
		a.beats.stop()
		<-ctx.Done()
	}
	return nil
}
