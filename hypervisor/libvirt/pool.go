package libvirt

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	lv "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"ingot/hypervisor"
	"ingot/inventory"
)

// pool is the storage pool that all of ours is in.
type pool struct {
	*link
	it lv.StoragePool
	// dir is where its files are.
	dir string
}

// filePools are the kinds of pool whose volumes are files in a directory, where a qcow2
// volume can stand on another (libvirt's storage.html).
var filePools = []string{"dir", "fs", "netfs"}

// pool finds the pool and starts it if it must. ErrNotFound when there is none.
func (d *Driver) pool(ctx context.Context) (pool, error) {
	p := pool{link: d.link}
	var err error
	if p.it, err = ask(ctx, d.link, "find pool "+d.config.Pool, func(r *lv.Libvirt) (lv.StoragePool, error) {
		return r.StoragePoolLookupByName(d.config.Pool)
	}); err != nil {
		return p, err
	}
	text, err := ask(ctx, d.link, "read pool "+d.config.Pool, func(r *lv.Libvirt) (string, error) { return r.StoragePoolGetXMLDesc(p.it, 0) })
	if err != nil {
		return p, err
	}
	var desc libvirtxml.StoragePool
	if err := desc.Unmarshal(text); err != nil {
		return p, fmt.Errorf("libvirt: read pool %s: %w", d.config.Pool, err)
	}
	if !slices.Contains(filePools, desc.Type) || desc.Target == nil {
		return p, fmt.Errorf("libvirt: pool %s is of type %s (want one of %s): %w", d.config.Pool, desc.Type, strings.Join(filePools, ", "), inventory.ErrUnsupported)
	}
	p.dir = desc.Target.Path
	return p, p.start(ctx)
}

// start starts the pool if it is not.
func (p pool) start(ctx context.Context) error {
	active, err := ask(ctx, p.link, "read pool "+p.it.Name, func(r *lv.Libvirt) (int32, error) { return r.StoragePoolIsActive(p.it) })
	if err != nil || active != 0 {
		return err
	}
	err = do(ctx, p.link, "start pool "+p.it.Name, func(r *lv.Libvirt) error { return r.StoragePoolCreate(p.it, 0) })
	if said(err, lv.ErrOperationInvalid) { // somebody else started it
		return nil
	}
	return err
}

// needPool finds the pool or makes it.
func (d *Driver) needPool(ctx context.Context) (pool, error) {
	p, err := d.pool(ctx)
	if !missing(err) {
		return p, err
	}
	release, err := d.held.Take(ctx, "pool")
	if err != nil {
		return p, err
	}
	defer release()
	if p, err = d.pool(ctx); !missing(err) {
		return p, err
	}
	text, err := d.poolXML()
	if err != nil {
		return p, err
	}
	p.it, err = change(ctx, d.link, "define pool "+d.config.Pool, func(r *lv.Libvirt) (lv.StoragePool, error) { return r.StoragePoolDefineXML(text, 0) })
	if err != nil {
		return p, err
	}
	if err := do(ctx, d.link, "build pool "+d.config.Pool, func(r *lv.Libvirt) error { return r.StoragePoolBuild(p.it, 0) }); err != nil {
		return p, err
	}
	if err := do(ctx, d.link, "start pool with the host "+d.config.Pool, func(r *lv.Libvirt) error { return r.StoragePoolSetAutostart(p.it, 1) }); err != nil {
		return p, err
	}
	return d.pool(ctx)
}

// poolXML is a new pool. Its UUID follows from its name, so that two who make it at once
// make the same. The directory can be searched by everyone: QEMU runs as a user of its own.
func (d *Driver) poolXML() (string, error) {
	dir := d.config.PoolDir
	switch {
	case dir != "":
	case !d.place.session:
		dir = "/var/lib/libvirt/images/" + d.config.Pool
	case d.place.local:
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("libvirt: directory for pool %s: %w", d.config.Pool, err)
		}
		dir = path.Join(home, ".local/share/libvirt/images", d.config.Pool)
	default:
		return "", inventory.Invalid("libvirt host %s: no pool %s, and no directory is set to make it in", d.config.URL, d.config.Pool)
	}
	p := libvirtxml.StoragePool{Type: "dir", Name: d.config.Pool, UUID: hypervisor.UUID("", "pool "+d.config.Pool),
		Target: &libvirtxml.StoragePoolTarget{Path: dir, Permissions: &libvirtxml.StoragePoolTargetPermissions{Mode: "0711"}}}
	return p.Marshal()
}

// refreshEvery is how often a refresh is tried while the pool is busy.
const refreshEvery = 100 * time.Millisecond

// refresh lets libvirt look at the directory again: what it did not make through the pool
// itself (a domain's UEFI variables, the format of what was uploaded) it does not see
// before. While a volume is being made it refuses, with an error that has no number.
func (p pool) refresh(ctx context.Context) error {
	for {
		_, err := ask(ctx, p.link, "refresh pool "+p.it.Name, func(r *lv.Libvirt) (struct{}, error) { return struct{}{}, r.StoragePoolRefresh(p.it, 0) })
		if err == nil || !strings.Contains(err.Error(), "asynchronous jobs") {
			return err
		}
		if err := pause(ctx, refreshEvery); err != nil {
			return fmt.Errorf("libvirt: refresh pool %s: %w", p.it.Name, err)
		}
	}
}

// pause waits, or ends with the context.
func pause(ctx context.Context, t time.Duration) error {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
