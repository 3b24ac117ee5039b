package libvirt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	lv "github.com/digitalocean/go-libvirt"
	"golang.org/x/sync/errgroup"
	"libvirt.org/go/libvirtxml"

	"ingot/hypervisor"
	"ingot/inventory"
)

var errGarbled = errors.New("its description is not understood")

// found is a domain with its description.
type found struct {
	lv.Domain
	desc     libvirtxml.Domain
	identity identity
	// ours tells whether the identity was there.
	ours bool
}

// adopted tells whether the domain is one that we did not make.
func (f found) adopted() bool {
	return f.ours && f.desc.UUID != hypervisor.UUID(f.identity.Owner, f.identity.ID)
}

// find looks for a machine of this owner: by the UUID that we gave it, and if there is
// none, among those that were adopted.
func (d *Driver) find(ctx context.Context, id string) (found, error) {
	uuid, err := number(d.uuidOf(id))
	if err != nil {
		return found{}, err
	}
	dom, err := ask(ctx, d.link, "find machine "+id, func(r *lv.Libvirt) (lv.Domain, error) { return r.DomainLookupByUUID(uuid) })
	if err == nil {
		f, err := d.read(ctx, dom)
		f.identity.ID, f.identity.UUID, f.identity.Owner, f.ours = id, d.uuidOf(id), d.config.Owner, true
		return f, err
	}
	if !missing(err) {
		return found{}, err
	}
	all, err := d.all(ctx)
	if err != nil {
		return found{}, err
	}
	for _, f := range all {
		if f.ours && f.identity.ID == id && f.identity.Owner == d.config.Owner {
			return f, nil
		}
	}
	return found{}, inventory.NotFound("machine", id)
}

// read reads a domain's description.
func (d *Driver) read(ctx context.Context, dom lv.Domain) (found, error) {
	f := found{Domain: dom}
	text, err := ask(ctx, d.link, "read domain "+dom.Name, func(r *lv.Libvirt) (string, error) { return r.DomainGetXMLDesc(dom, 0) })
	if err != nil {
		return f, err
	}
	if err := f.desc.Unmarshal(text); err != nil {
		return f, fmt.Errorf("libvirt: read domain %s: %w: %w", dom.Name, errGarbled, err)
	}
	if i, ok := identityOf(f.desc); ok {
		f.identity, f.ours = i, true
	}
	return f, nil
}

// all reads every domain of the host that is defined. One that goes meanwhile is left out,
// and so is one that can't be read.
func (d *Driver) all(ctx context.Context) ([]found, error) {
	domains, err := ask(ctx, d.link, "list domains", func(r *lv.Libvirt) ([]lv.Domain, error) {
		all, _, err := r.ConnectListAllDomains(1, lv.ConnectListDomainsPersistent)
		return all, err
	})
	if err != nil {
		return nil, err
	}
	return gather(ctx, domains, func(ctx context.Context, dom lv.Domain) (found, error) {
		f, err := d.read(ctx, dom)
		if errors.Is(err, errGarbled) {
			d.config.Log.Warn("domain is left out", "domain", dom.Name, "err", err)
			return f, inventory.NotFound("domain", dom.Name)
		}
		return f, err
	})
}

// gather asks for each of many, some at once, and keeps the order. What is not found any
// more is left out.
func gather[From, To any](ctx context.Context, from []From, f func(context.Context, From) (To, error)) ([]To, error) {
	answers := make([]*To, len(from))
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(atOnce)
	for i, one := range from {
		asking.Go(func() error {
			answer, err := f(ctx, one)
			if missing(err) {
				return nil
			}
			answers[i] = &answer
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, err
	}
	var to []To
	for _, answer := range answers {
		if answer != nil {
			to = append(to, *answer)
		}
	}
	return to, nil
}

// Get implements hypervisor.Driver.
func (d *Driver) Get(ctx context.Context, id string) (hypervisor.VM, error) {
	f, err := d.find(ctx, id)
	if err != nil {
		return hypervisor.VM{}, err
	}
	return d.one(ctx, f)
}

func (d *Driver) one(ctx context.Context, f found) (hypervisor.VM, error) {
	all, err := d.stats(ctx, []lv.Domain{f.Domain})
	if err != nil {
		return hypervisor.VM{}, err
	}
	return d.vm(ctx, f, all)
}

// List implements hypervisor.Driver: a list, a description of each domain of the host, one
// call for all states and sizes, and for each of ours that runs its addresses.
func (d *Driver) List(ctx context.Context) ([]hypervisor.VM, error) {
	return d.list(ctx, func(f found) bool { return f.ours && f.identity.Owner == d.config.Owner })
}

func (d *Driver) list(ctx context.Context, want func(found) bool) ([]hypervisor.VM, error) {
	all, err := d.all(ctx)
	if err != nil {
		return nil, err
	}
	var domains []lv.Domain
	all = slices.DeleteFunc(all, func(f found) bool { return !want(f) })
	for _, f := range all {
		domains = append(domains, f.Domain)
	}
	if len(domains) == 0 {
		return nil, nil
	}
	known, err := d.stats(ctx, domains)
	if missing(err) { // one of them has gone meanwhile
		known, err = d.stats(ctx, nil)
	}
	if err != nil {
		return nil, err
	}
	vms, err := gather(ctx, all, func(ctx context.Context, f found) (hypervisor.VM, error) { return d.vm(ctx, f, known) })
	slices.SortFunc(vms, func(a, b hypervisor.VM) int { return strings.Compare(a.ID+a.UUID, b.ID+b.UUID) })
	return vms, err
}

// vm is a domain as our callers know it.
func (d *Driver) vm(ctx context.Context, f found, known map[lv.UUID]stats) (hypervisor.VM, error) {
	now, ok := known[f.UUID]
	if !ok {
		return hypervisor.VM{}, inventory.NotFound("machine", f.identity.ID)
	}
	vm := hypervisor.VM{ID: f.identity.ID, Power: now.power, UUID: f.desc.UUID, Name: f.name(), Clone: f.identity.Clone, ImageDigest: f.identity.Image,
		Firmware: inventory.FirmwareBIOS, TPM: f.desc.Devices != nil && len(f.desc.Devices.TPMs) > 0}
	if f.desc.VCPU != nil {
		vm.CPUs = int(cmp.Or(f.desc.VCPU.Current, f.desc.VCPU.Value)) // the rest can be plugged in
	}
	if f.desc.Memory != nil {
		vm.MemoryBytes = int64(f.desc.Memory.Value) * unitBytes(f.desc.Memory.Unit)
	}
	vm.Firmware, vm.SecureBoot = firmware(f.desc.OS)
	var err error
	if vm.Disks, err = d.disks(ctx, f, now); err != nil {
		return vm, err
	}
	vm.NICs, err = d.attached(ctx, f, vm.Power)
	return vm, err
}

// name is what people call the machine: the title, where virt-manager shows and changes
// it, or the domain's name.
func (f found) name() string {
	for _, name := range []string{f.desc.Title, f.identity.Name} {
		if name != "" {
			return name
		}
	}
	return f.desc.Name
}

// unitBytes are the units that libvirt writes; it always writes KiB.
func unitBytes(unit string) int64 {
	switch unit {
	case "b", "bytes":
		return 1
	case "MiB", "M":
		return 1 << 20
	case "GiB", "G":
		return 1 << 30
	}
	return 1 << 10
}

// firmware tells from the request ("efi", features) and from what came of it (loader).
func firmware(os *libvirtxml.DomainOS) (mode inventory.FirmwareMode, secureBoot bool) {
	if os == nil || os.Firmware != "efi" && (os.Loader == nil || os.Loader.Type != "pflash") {
		return inventory.FirmwareBIOS, false
	}
	if os.FirmwareInfo != nil {
		for _, f := range os.FirmwareInfo.Features {
			if f.Name == "enrolled-keys" {
				return inventory.FirmwareUEFI, f.Enabled == "yes"
			}
		}
	}
	return inventory.FirmwareUEFI, os.Loader != nil && os.Loader.Secure == "yes"
}
