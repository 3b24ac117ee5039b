package libvirt

import (
	"context"
	"fmt"

	lv "github.com/digitalocean/go-libvirt"
)

// tpmFlagSince is the version whose undefine takes care of a TPM's state (8.9.0).
const tpmFlagSince = 8_009_000

// Delete implements hypervisor.Driver. Disks of an adopted machine stay: we did not make
// them.
func (d *Driver) Delete(ctx context.Context, id string) error {
	if err := d.delete(ctx, id); err != nil {
		return fmt.Errorf("delete machine %s: %w", id, err)
	}
	return nil
}

func (d *Driver) delete(ctx context.Context, id string) error {
	release, err := d.begin(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	f, err := d.find(ctx, id)
	if err == nil {
		err = d.undefine(ctx, f)
	}
	if err != nil && !missing(err) {
		return err
	}
	p, err := d.pool(ctx)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	// libvirt has made files there that its pool has not seen: variables, console logs.
	if err := p.refresh(ctx); err != nil {
		return err
	}
	return p.removeAll(ctx, volumeStem(d.uuidOf(id)))
}

// undefine stops the domain and takes away what libvirt keeps of it. Without these flags
// it refuses a domain with variables, snapshots or a saved state.
func (d *Driver) undefine(ctx context.Context, f found) error {
	if err := d.destroy(ctx, f.Domain); err != nil {
		return err
	}
	flags := lv.DomainUndefineManagedSave | lv.DomainUndefineSnapshotsMetadata | lv.DomainUndefineCheckpointsMetadata
	nvram, tpm := lv.DomainUndefineNvram, lv.DomainUndefineTpm
	if f.adopted() {
		nvram, tpm = lv.DomainUndefineKeepNvram, lv.DomainUndefineKeepTpm
	}
	flags |= nvram
	if d.version >= tpmFlagSince {
		flags |= tpm
	}
	return do(ctx, d.link, "undefine domain "+f.Name, func(r *lv.Libvirt) error { return r.DomainUndefineFlags(f.Domain, flags) })
}
