package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"ingot/hypervisor/fleet"
	"ingot/inventory"
	"ingot/inventory/auth"
	"ingot/inventory/journal"
	"ingot/inventory/lifecycle"
	"ingot/inventory/rollout"
	"ingot/inventory/secret"
	"ingot/inventory/webhook"
	"ingot/pxe"
	"ingot/pxe/netboot"
)

// Daemon is one running server: the parts, and what must be closed at its end.
type Daemon struct {
	cfg     Config
	version string
	log     *slog.Logger
	now     func() time.Time
	started time.Time
	closers []io.Closer

	store     inventory.Store
	id        string
	key       secret.Key
	tokens    *auth.Tokens
	journal   *journal.Journal
	kernel    *kernelLog
	images    *imageWork
	fleet     *fleet.Fleet
	guests    *guests
	offers    *offers
	lifecycle *lifecycle.Lifecycle
	rollouts  *rollout.Runner
	schedules *schedules
	sets      *bootWork
	table     *netboot.Table
	recorder  *netboot.Recorder
	boot      *pxe.Server
	networks  *networks
	cert      tls.Certificate
	mark      highwater
	restored  bool
	// collects: how often garbage is collected is ours to say.
	collects bool
	ready    readiness
}

// Serve runs until ctx ends. log is where the server's log goes.
func Serve(ctx context.Context, cfg Config, version string, log io.Writer) error {
	d := &Daemon{cfg: cfg, version: version, log: logger(cfg.Log, log), now: time.Now, started: time.Now(), collects: limitMemory()}
	err := d.open(ctx)
	if err == nil {
		err = d.run(ctx)
	}
	for i := len(d.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, d.closers[i].Close())
	}
	return err
}

func (d *Daemon) path(name string) string { return filepath.Join(d.cfg.Data, name) }

// run starts everything and waits: the first part that fails ends all.
func (d *Daemon) run(ctx context.Context) error {
	open, err := d.listen(ctx)
	if err != nil {
		return err
	}
	if d.cfg.LocalHost {
		if err := findLocalHost(ctx, d.store, localSockets, d.now(), d.log); err != nil {
			return err
		}
	}
	hooks, err := d.cfg.hooks()
	if err != nil {
		return err
	}
	seq, err := d.table.Load(ctx, d.store)
	if err != nil {
		return err
	}
	if err := d.boot.Open(); err != nil {
		return withOwner(err)
	}
	g, ctx := errgroup.WithContext(ctx)
	d.follow(ctx, g, seq, hooks)
	d.work(ctx, g)
	d.answer(ctx, g, open)
	d.log.Info("ingot serve is up", "version", d.version, "interfaces", d.cfg.Interfaces, "api", "http://"+d.cfg.Admin.Listen, "data", d.cfg.Data)
	d.ready.set()
	return g.Wait()
}

// follow starts what reads the events after seq.
func (d *Daemon) follow(ctx context.Context, g *errgroup.Group, seq int64, hooks []webhook.Hook) {
	g.Go(func() error { return ended(ctx, d.table.Follow(ctx, d.store, seq)) })
	g.Go(func() error { return ended(ctx, d.mark.follow(ctx, d.store, seq)) })
	g.Go(func() error { return d.suspect(ctx, seq) })
	posts := &webhook.Sender{Store: d.store, Hooks: hooks, Client: webhook.NewClient(), After: time.After, Log: d.log.With("component", "webhook")}
	g.Go(func() error { return ended(ctx, posts.Run(ctx)) })
}

// work starts what carries out orders and keeps images.
func (d *Daemon) work(ctx context.Context, g *errgroup.Group) {
	g.Go(func() error { return d.lifecycle.Run(ctx) })
	g.Go(func() error { return d.guests.run(ctx) })
	g.Go(func() error { return d.offers.run(ctx) })
	g.Go(func() error { return d.fleet.Run(ctx) })
	g.Go(func() error { return d.rollouts.Run(ctx) })
	g.Go(func() error { return d.schedules.Run(ctx) })
	g.Go(func() error {
		return d.images.rescan(ctx, func(err error) { d.log.Error("rescan images", "err", err) })
	})
	g.Go(func() error { d.images.compress(ctx); return nil })
	if d.images.share != nil {
		g.Go(func() error { return d.images.share.Run(ctx) })
	}
}

// answer starts what machines, agents and people speak with.
func (d *Daemon) answer(ctx context.Context, g *errgroup.Group, open listeners) {
	g.Go(func() error { return d.boot.Run(ctx) })
	if d.collects {
		g.Go(func() error { d.collect(ctx); return nil })
	}
	g.Go(func() error { return d.networks.decide(ctx, d.cfg.Interfaces) })
	g.Go(func() error { return serveHTTP(ctx, d.adminHandler(), open.admin) })
	for _, l := range open.agents {
		secured := tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{d.cert}, MinVersion: tls.VersionTLS13})
		g.Go(func() error { return serveHTTP(ctx, d.agentHandler(), secured) })
	}
	g.Go(func() error {
		return d.kernel.run(ctx, func(err error) { d.log.Error("write kernel messages", "err", err) })
	})
	for _, c := range open.console {
		g.Go(func() error { return d.receiveConsole(ctx, c) })
	}
}

// ended forgets the error of a follower whose context ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
