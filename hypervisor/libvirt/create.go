package libvirt

import (
	"context"
	"fmt"

	lv "github.com/digitalocean/go-libvirt"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Create implements hypervisor.Driver. The domain is defined last, so a domain that is
// there is whole; without one, what an earlier try left is of no use and goes first.
func (d *Driver) Create(ctx context.Context, spec hypervisor.Spec) (hypervisor.VM, error) {
	vm, err := d.create(ctx, spec)
	if err != nil {
		return hypervisor.VM{}, fmt.Errorf("create machine %s: %w", spec.ID, err)
	}
	return vm, nil
}

func (d *Driver) create(ctx context.Context, spec hypervisor.Spec) (hypervisor.VM, error) {
	if err := d.check(spec); err != nil {
		return hypervisor.VM{}, err
	}
	release, err := d.begin(ctx, spec.ID)
	if err != nil {
		return hypervisor.VM{}, err
	}
	defer release()
	if vm, err := d.Get(ctx, spec.ID); !missing(err) {
		return vm, err
	}
	p, err := d.needPool(ctx)
	if err != nil {
		return hypervisor.VM{}, err
	}
	b, base, err := d.build(ctx, p, spec)
	if err != nil {
		return hypervisor.VM{}, err
	}
	if err := p.refresh(ctx); err != nil {
		return hypervisor.VM{}, err
	}
	if err := p.removeAll(ctx, volumeStem(b.uuid)); err != nil {
		return hypervisor.VM{}, err
	}
	if err := p.makeDisks(ctx, b, base); err != nil {
		return hypervisor.VM{}, err
	}
	if err := p.makeSeed(ctx, b); err != nil {
		return hypervisor.VM{}, err
	}
	if err := d.define(ctx, b); err != nil {
		return hypervisor.VM{}, err
	}
	d.config.Log.Info("machine is made", "machine", spec.ID, "domain", b.name)
	return d.Get(ctx, spec.ID)
}

// check is what can be refused without asking the host.
func (d *Driver) check(spec hypervisor.Spec) error {
	if err := spec.Check(); err != nil {
		return err
	}
	lacks := ""
	switch {
	case len(spec.Disks) > diskLetters:
		return inventory.Invalid("%d disks (want at most %d)", len(spec.Disks), diskLetters)
	case spec.Firmware == inventory.FirmwareUEFI && !d.caps.UEFI:
		lacks = "UEFI firmware (Debian's package ovmf)"
	case spec.SecureBoot && !d.caps.SecureBoot:
		lacks = "Secure Boot firmware (Debian's package ovmf)"
	case spec.TPM && !d.caps.TPM:
		lacks = "TPM emulator (Debian's packages swtpm and swtpm-tools)"
	}
	if lacks != "" {
		return fmt.Errorf("libvirt host %s has no %s: %w", d.config.URL, lacks, inventory.ErrUnsupported)
	}
	return nil
}

// build gathers all that the machine's description needs. base is the image's volume; its
// name is empty for an empty disk.
func (d *Driver) build(ctx context.Context, p pool, spec hypervisor.Spec) (b build, base lv.StorageVol, err error) {
	if spec.Firmware == "" {
		spec.Firmware = map[bool]inventory.FirmwareMode{true: inventory.FirmwareUEFI, false: inventory.FirmwareBIOS}[d.caps.UEFI]
	}
	uuid := d.uuidOf(spec.ID)
	b = build{spec: spec, uuid: uuid, name: domainNames(spec.Name, uuid)[0], kvm: d.caps.Accelerated,
		nvram: p.path(nvramVolume(uuid)), console: p.path(consoleVolume(uuid)),
		identity: identity{ID: spec.ID, UUID: uuid, Owner: d.config.Owner, Name: spec.Name, Image: spec.Image, Since: d.config.Now().UTC()}}
	if spec.Image != "" {
		b.identity.Clone = hypervisor.LinkedClone
		if base, err = p.base(ctx, spec); err != nil {
			return b, base, err
		}
	}
	if len(spec.Seed) > 0 {
		b.seed = p.path(seedVolume(uuid))
	}
	for i := range spec.Disks {
		b.disks = append(b.disks, p.path(fmt.Sprintf("%s%d.qcow2", diskVolume(uuid), i)))
	}
	b.nics, err = d.nics(ctx, spec.NICs)
	return b, base, err
}

// define defines the domain, under another name where the first is taken.
func (d *Driver) define(ctx context.Context, b build) error {
	var err error
	for _, b.name = range domainNames(b.spec.Name, b.uuid) {
		var text string
		if text, err = b.xml(); err != nil {
			return err
		}
		_, err = change(ctx, d.link, "define domain "+b.name, func(r *lv.Libvirt) (lv.Domain, error) {
			return r.DomainDefineXMLFlags(text, lv.DomainDefineValidate)
		})
		// Error 9 is "already exists with uuid", among others.
		if !said(err, lv.ErrOperationFailed) {
			return err
		}
	}
	return err
}
