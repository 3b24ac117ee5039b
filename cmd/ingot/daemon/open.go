package daemon

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"

	"ingot/inventory"
	"ingot/inventory/auth"
	"ingot/inventory/journal"
	"ingot/inventory/lifecycle"
	"ingot/inventory/rollout"
	"ingot/inventory/secret"
	"ingot/inventory/sqlstore"
	"ingot/pxe"
	"ingot/pxe/metal"
	"ingot/pxe/netboot"
)

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
	work.store, work.now, work.later = d.store, d.now, true
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

// configured stores the networks of the configuration file. One that has addresses of a
// network of the inventory is refused: neither may be lost.
func (d *Daemon) configured(ctx context.Context) error {
	return d.store.Update(ctx, func(x inventory.Tx) error {
		have, err := x.Networks(ctx)
		if err != nil {
			return err
		}
		for _, n := range d.cfg.Networks {
			net, err := n.Inventory()
			if err == nil {
				err = net.CheckBeside(have, func(other string) string {
					return fmt.Sprintf("the inventory has it: name it %[1]s in the configuration, or start without it and run ingot network remove %[1]s", other)
				})
			}
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
