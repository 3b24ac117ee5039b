package daemon

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"ingot/hypervisor/fleet"
	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/inventory/api/rest"
	"ingot/inventory/auth"
	"ingot/inventory/guest"
	"ingot/inventory/journal"
	"ingot/inventory/lifecycle"
	"ingot/inventory/rollout"
	"ingot/inventory/secret"
	"ingot/inventory/sqlstore"
	"ingot/inventory/webhook"
	"ingot/pxe"
	"ingot/pxe/agentapi"
	"ingot/pxe/metal"
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
	ready     readiness
}

// garbagePercent trades memory, of which there is enough (an idle server has some 10 MB in
// use), for a shorter tail: collecting was a tenth of the work of a busy DHCP server.
// memoryLimitBytes is where memory is worth more than the tail.
const (
	garbagePercent   = 700
	memoryLimitBytes = 1 << 30
)

// Serve runs until ctx ends. log is where the server's log goes.
func Serve(ctx context.Context, cfg Config, version string, log io.Writer) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimitBytes)
	}
	d := &Daemon{cfg: cfg, version: version, log: logger(cfg.Log, log), now: time.Now, started: time.Now()}
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

// open makes the parts, in the order in which they need each other.
func (d *Daemon) open(ctx context.Context) error {
	if err := os.MkdirAll(d.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	lock, err := lockData(d.cfg.Data)
	if err != nil {
		return err
	}
	d.closers = append(d.closers, lock)
	for _, step := range []func(context.Context) error{d.openStore, d.openSecrets, d.openImages, d.openSets, d.openDecisions, d.openBoot} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *Daemon) openStore(ctx context.Context) error {
	var store *sqlstore.Store
	var err error
	if d.cfg.Database != "" {
		store, err = sqlstore.OpenPostgres(ctx, d.cfg.Database)
	} else {
		store, err = sqlstore.OpenSQLite(ctx, d.path("ingot.db"))
	}
	if err != nil {
		return err
	}
	d.store = store
	d.closers = append(d.closers, store)
	d.mark = highwater{d.path("highwater")}
	return d.installation(ctx)
}

// installation gives the inventory its name, which agents write on disks.
func (d *Daemon) installation(ctx context.Context) error {
	return d.store.Update(ctx, func(x inventory.Tx) error {
		id, err := x.Setting(ctx, "inventory")
		if err != nil {
			return err
		}
		if id == "" {
			id = "inv-" + rand.Text()[:16]
		}
		d.id = id
		return x.PutSetting(ctx, "inventory", id)
	})
}

func (d *Daemon) openSecrets(ctx context.Context) error {
	var err error
	if d.key, err = secret.Open(d.path("key")); err != nil {
		return err
	}
	file := d.path("admin.token")
	tokens, made, err := auth.Open(ctx, d.store, file)
	if err != nil {
		return err
	}
	if made != "" {
		fmt.Fprintf(os.Stdout, "admin token (shown once, kept in %s): %s\n", file, made)
	}
	d.tokens = tokens
	if d.journal, err = journal.Open(d.path("journal"), d.now); err != nil {
		return err
	}
	d.closers = append(d.closers, d.journal)
	d.kernel = newKernelLog(d.journal, d.now)
	return nil
}

func (d *Daemon) openImages(ctx context.Context) error {
	work, err := openImageWork(d.cfg.Data, d.cfg.Images, d.log.With("component", "images"))
	if err != nil {
		return err
	}
	work.store, work.now = d.store, d.now
	d.images = work
	if err := d.openShare(ctx); err != nil {
		return err
	}
	return d.images.mirror(ctx)
}

func (d *Daemon) openDecisions(ctx context.Context) error {
	cert, pin, err := identity(d.cfg.Data)
	if err != nil {
		return err
	}
	d.cert = cert
	d.openFleet()
	d.images.gone = func(ctx context.Context, digest string) {
		if err := d.fleet.RemoveImage(ctx, digest); err != nil {
			d.log.Warn("remove image from hosts", "image", digest, "err", err)
		}
	}
	d.lifecycle = lifecycle.New(d.store, map[inventory.Kind]lifecycle.Executor{inventory.KindMetal: metal.Executor{}, inventory.KindVM: d.fleet}, d.now,
		d.log.With("component", "lifecycle"))
	d.lifecycle.Limits = d.cfg.Limits.lifecycle()
	d.rollouts = &rollout.Runner{Store: d.store, Orders: d.lifecycle, Now: d.now, Log: d.log.With("component", "rollout")}
	if d.schedules, err = newSchedules(d); err != nil {
		return err
	}
	d.table = netboot.NewTable(netboot.Config{HTTPPort: d.cfg.Machine.advertised(), TLSPort: d.cfg.Machine.TLSPort, Pin: pin,
		Discover: d.cfg.Discover, KernelArgs: d.cfg.KernelArgs, BootSet: bootFiles{d.sets.Keeper.Store}.current})
	d.recorder = netboot.NewRecorder(d.table, d.store, d.now, d.log.With("component", "netboot"))
	d.recorder.Neighbour = neighbour
	return d.checkRestored(ctx)
}

// checkRestored puts every machine on hold when the database is older than what this
// data directory has seen, so that a restored backup re-images nothing.
func (d *Daemon) checkRestored(ctx context.Context) error {
	seen, err := d.mark.read()
	if err != nil {
		return err
	}
	return d.store.Update(ctx, func(x inventory.Tx) error {
		last, err := x.Events(ctx, inventory.EventQuery{Limit: 1})
		if err != nil {
			return err
		}
		newest := int64(0)
		if len(last) > 0 {
			newest = last[0].Seq
		}
		d.restored = newest < seen
		if d.restored {
			reason := fmt.Sprintf("the database was restored from a backup (it ends at event %d, and %d were recorded)", newest, seen)
			d.log.Error("restored database: all machines are on hold", "newest", newest, "seen", seen)
			if err := lifecycle.HoldAll(ctx, x, d.lifecycle, reason); err != nil {
				return err
			}
		}
		e, err := inventory.NewEvent(nil, d.now(), inventory.ServerStarted{Version: d.version, Restored: d.restored})
		if err != nil {
			return err
		}
		_, err = x.AddEvent(ctx, e)
		return err
	})
}

func (d *Daemon) openBoot(ctx context.Context) error {
	if err := checkInterfaces(d.cfg.Interfaces); err != nil {
		return err
	}
	if err := d.bootSet(ctx); err != nil {
		return err
	}
	listeners, err := listenEach(ctx, d.cfg.Interfaces, d.cfg.Machine.HTTPPort)
	if err != nil {
		return err
	}
	interfaces := d.cfg.Interfaces
	if d.cfg.DHCP == string(inventory.DHCPOff) {
		interfaces = nil
	}
	d.boot, err = pxe.New(pxe.Config{Store: d.store, Table: d.table, Recorder: d.recorder, Boot: bootFiles{d.sets.Keeper.Store}, Leases: leases{d.store},
		Interfaces: interfaces, TFTPPort: 69, Now: d.now, Log: d.log, Machine: listeners, Mount: d.mountMachine})
	if err != nil {
		return err
	}
	d.networks = &networks{store: d.store, dhcp: d.boot.DHCP(), table: d.table, forced: inventory.DHCPMode(d.cfg.DHCP), now: d.now,
		log: d.log.With("component", "dhcp"), leading: map[string]bool{}}
	if err := d.configured(ctx); err != nil {
		return err
	}
	if err := d.networks.ensure(ctx, d.cfg.Interfaces); err != nil {
		return err
	}
	return d.networks.apply(ctx)
}

// configured stores the networks of the configuration file.
func (d *Daemon) configured(ctx context.Context) error {
	return d.store.Update(ctx, func(x inventory.Tx) error {
		for _, n := range d.cfg.Networks {
			net, err := n.Inventory()
			if err != nil {
				return err
			}
			if err := x.PutNetwork(ctx, net); err != nil {
				return err
			}
		}
		return nil
	})
}

// machineURL is the machine listener as a machine reaches it.
func (d *Daemon) machineURL(local netip.Addr) string {
	return "http://" + netip.AddrPortFrom(local, uint16(d.cfg.Machine.advertised())).String()
}

// mountMachine adds what machines may ask for over plain HTTP.
func (d *Daemon) mountMachine(handle func(string, http.Handler)) {
	handle("/images/", d.images.images.Handler())
	d.guestServer().Routes(handle)
}

func (d *Daemon) guestServer() *guest.Server {
	return &guest.Server{Store: d.store, Key: d.key, Now: d.now, Log: d.log.With("component", "guest"), Wake: func() { d.lifecycle.Wake() },
		BaseURL: func(r *http.Request) string { return d.machineURL(pxe.LocalAddr(r)) }}
}

func (d *Daemon) agentHandler() http.Handler {
	orders := &metal.Orders{Inventory: d.id, Now: d.now, Trust: d.images.trust, PhoneHomeURL: func(local netip.Addr, machine string, generation int64) string {
		return d.machineURL(local) + guest.PhoneHomePath(d.key, machine, generation)
	}}
	s := &agentapi.Server{Store: d.store, Orders: orders, Logs: d.kernel, Now: d.now, Log: d.log.With("component", "agentapi"),
		NetconsolePort: d.cfg.Machine.NetconsolePort, Saw: d.recorder.Saw, Wake: d.lifecycle.Wake}
	return s.Handler()
}

func (d *Daemon) adminHandler() http.Handler {
	s := &rest.Server{Store: d.store, Lifecycle: d.lifecycle, Tokens: d.tokens, Images: d.images, Rollouts: d.rollouts, Schedules: d.schedules, BootSets: d.sets, Hosts: hostDesk{d}, Logs: d.journal, Now: d.now,
		Log:     d.log.With("component", "api"),
		Version: api.Version{Version: d.version, Inventory: d.id, Started: d.started}, NetworksChanged: d.networks.apply, DHCPNow: d.networks.mode}
	mux := http.NewServeMux()
	mux.Handle("/api/", s.Handler())
	mux.Handle("GET /metrics", d.metrics())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("GET /readyz", &d.ready)
	return mux
}

// run starts everything and waits: the first part that fails ends all.
func (d *Daemon) run(ctx context.Context) error {
	admin, err := listen(ctx, "", d.cfg.Admin.Listen)
	if err != nil {
		return err
	}
	tlsListeners, err := listenEach(ctx, d.cfg.Interfaces, d.cfg.Machine.TLSPort)
	if err != nil {
		return errors.Join(err, admin.Close())
	}
	console, err := listenNetconsole(ctx, d.cfg.Interfaces, d.cfg.Machine.NetconsolePort)
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
	g.Go(func() error { return ended(ctx, d.table.Follow(ctx, d.store, seq)) })
	g.Go(func() error { return ended(ctx, d.mark.follow(ctx, d.store, seq)) })
	g.Go(func() error { return d.suspect(ctx, seq) })
	g.Go(func() error { return d.lifecycle.Run(ctx) })
	g.Go(func() error { return d.guests.run(ctx) })
	g.Go(func() error { return d.offers.run(ctx) })
	g.Go(func() error { return d.fleet.Run(ctx) })
	g.Go(func() error { return d.rollouts.Run(ctx) })
	g.Go(func() error { return d.schedules.Run(ctx) })
	posts := &webhook.Sender{Store: d.store, Hooks: hooks, Client: webhook.NewClient(), After: time.After, Log: d.log.With("component", "webhook")}
	g.Go(func() error { return ended(ctx, posts.Run(ctx)) })
	g.Go(func() error {
		return d.images.rescan(ctx, func(err error) { d.log.Error("rescan images", "err", err) })
	})
	if d.images.share != nil {
		g.Go(func() error { return d.images.share.Run(ctx) })
	}
	g.Go(func() error { return d.boot.Run(ctx) })
	g.Go(func() error { return d.networks.decide(ctx, d.cfg.Interfaces) })
	g.Go(func() error { return serveHTTP(ctx, d.adminHandler(), admin) })
	for _, l := range tlsListeners {
		secured := tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{d.cert}, MinVersion: tls.VersionTLS13})
		g.Go(func() error { return serveHTTP(ctx, d.agentHandler(), secured) })
	}
	g.Go(func() error {
		return d.kernel.run(ctx, func(err error) { d.log.Error("write kernel messages", "err", err) })
	})
	for _, c := range console {
		g.Go(func() error { return d.receiveConsole(ctx, c) })
	}
	d.log.Info("ingot serve is up", "version", d.version, "interfaces", d.cfg.Interfaces, "api", "http://"+d.cfg.Admin.Listen, "data", d.cfg.Data)
	d.ready.set()
	return g.Wait()
}

// ended forgets the error of a follower whose context ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// stopTime is how long requests may go on when the server stops.
const stopTime = 5 * time.Second

func serveHTTP(ctx context.Context, h http.Handler, l net.Listener) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() {
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		if srv.Shutdown(sctx) != nil {
			_ = srv.Close() // what is still going on is cut off
		}
	})
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

func portText(port int) string { return ":" + strconv.Itoa(port) }
