package libvirt

import (
	"context"
	"encoding/xml"
	"fmt"

	lv "github.com/digitalocean/go-libvirt"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Foreign implements hypervisor.Adopter.
func (d *Driver) Foreign(ctx context.Context) ([]hypervisor.VM, error) {
	return d.list(ctx, func(f found) bool { return !f.ours })
}

// Adopt implements hypervisor.Adopter. It writes only the domain's metadata.
func (d *Driver) Adopt(ctx context.Context, uuid, id string) (hypervisor.VM, error) {
	vm, err := d.adopt(ctx, uuid, id)
	if err != nil {
		return vm, fmt.Errorf("adopt domain %s as machine %s: %w", uuid, id, err)
	}
	return vm, nil
}

func (d *Driver) adopt(ctx context.Context, uuid, id string) (hypervisor.VM, error) {
	n, err := number(uuid)
	if err != nil || id == "" {
		return hypervisor.VM{}, inventory.Invalid("UUID %q, ID %q", uuid, id)
	}
	release, err := d.begin(ctx, id)
	if err != nil {
		return hypervisor.VM{}, err
	}
	defer release()
	dom, err := ask(ctx, d.link, "find domain "+uuid, func(r *lv.Libvirt) (lv.Domain, error) { return r.DomainLookupByUUID(n) })
	if err != nil {
		return hypervisor.VM{}, err
	}
	f, err := d.read(ctx, dom)
	if err != nil {
		return hypervisor.VM{}, err
	}
	switch other, err := d.find(ctx, id); {
	case f.ours && f.identity.ID == id && f.identity.Owner == d.config.Owner:
		return d.one(ctx, f)
	case f.ours:
		return hypervisor.VM{}, inventory.Conflict("it is machine %s of %q", f.identity.ID, f.identity.Owner)
	case err == nil:
		return hypervisor.VM{}, inventory.Conflict("machine %s is domain %s", id, other.Name)
	case !missing(err):
		return hypervisor.VM{}, err
	}
	if err := d.mark(ctx, f, identity{ID: id, UUID: f.desc.UUID, Owner: d.config.Owner, Since: d.config.Now().UTC()}); err != nil {
		return hypervisor.VM{}, err
	}
	return d.Get(ctx, id)
}

// mark writes who a domain is into its description, and into the running one if it runs.
func (d *Driver) mark(ctx context.Context, f found, i identity) error {
	text, err := xml.Marshal(i)
	if err != nil {
		return fmt.Errorf("libvirt: describe machine %s: %w", i.ID, err)
	}
	flags := lv.DomainAffectConfig
	power, err := d.power(ctx, f.Domain)
	if err != nil {
		return err
	}
	if power != hypervisor.Off {
		flags |= lv.DomainAffectLive
	}
	return do(ctx, d.link, "mark domain "+f.Name, func(r *lv.Libvirt) error {
		return r.DomainSetMetadata(f.Domain, int32(lv.DomainMetadataElement), lv.OptString{string(text)}, lv.OptString{metadataKey}, lv.OptString{namespace}, flags)
	})
}
