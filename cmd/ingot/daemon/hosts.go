package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	"ingot/hypervisor"
	"ingot/hypervisor/fleet"
	"ingot/hypervisor/hyperv"
	"ingot/hypervisor/libvirt"
	"ingot/hypervisor/vsphere"
	"ingot/images"
	"ingot/inventory"
	"ingot/inventory/guest"
	"ingot/inventory/seed"
)

// openFleet makes the part that works on VMs, and the listeners that they phone home
// to and that hosts fetch images from.
func (d *Daemon) openFleet() {
	mux := http.NewServeMux()
	d.guestServer().Routes(mux.Handle)
	d.guests = newGuests(d.cfg.Machine, d.cfg.Interfaces, mux, d.log.With("component", "guests"))
	d.offers = newOffers(d.cfg.Machine, d.cert, d.log.With("component", "offers"))
	d.fleet = fleet.New(fleet.Config{Store: d.store, Now: d.now, Log: d.log.With("component", "fleet"), Open: d.openDriver, Diagnose: d.diagnose, Image: d.goldenImage,
		Seed: d.vmSeed, Listen: d.listenFor, Woken: func() { d.lifecycle.Wake() },
		Unseal: func(host string, sealed []byte) ([]byte, error) { return d.key.Unseal(sealPlace(host), sealed) }})
}

// sealPlace is the place that a host's secret is sealed for.
func sealPlace(host string) string { return "host/" + host }

// openDriver is the table of drivers.
func (d *Daemon) openDriver(ctx context.Context, h inventory.Host, secret []byte) (hypervisor.Driver, error) {
	switch h.Kind() {
	case inventory.HostLibvirt:
		return libvirt.Open(ctx, d.libvirtConfig(h))
	case inventory.HostVSphere:
		return vsphere.Open(ctx, d.vsphereConfig(h, secret))
	case inventory.HostHyperV:
		return hyperv.Open(ctx, d.hypervConfig(h, secret))
	}
	return nil, noDriver(h)
}

// diagnose is the table of what looks at hosts before there is a driver.
func (d *Daemon) diagnose(ctx context.Context, h inventory.Host, secret []byte) ([]hypervisor.Finding, error) {
	switch h.Kind() {
	case inventory.HostLibvirt:
		return libvirt.Diagnose(ctx, d.libvirtConfig(h))
	case inventory.HostVSphere:
		return vsphere.Diagnose(ctx, d.vsphereConfig(h, secret))
	case inventory.HostHyperV:
		return hyperv.Diagnose(ctx, d.hypervConfig(h, secret))
	}
	return nil, noDriver(h)
}

func noDriver(h inventory.Host) error {
	return fmt.Errorf("hosts of kind %s: there is no driver: %w", h.Kind(), inventory.ErrUnsupported)
}

func (d *Daemon) hostLog(h inventory.Host) *slog.Logger {
	return d.log.With("component", string(h.Kind()), "host", h.Name)
}

func (d *Daemon) libvirtConfig(h inventory.Host) libvirt.Config {
	return libvirt.Config{URL: h.URL, Owner: d.id, Pool: h.Storage, Log: d.hostLog(h), Now: d.now}
}

func (d *Daemon) vsphereConfig(h inventory.Host, secret []byte) vsphere.Config {
	return vsphere.Config{URL: h.URL, Owner: d.id, Thumbprint: h.Thumbprint, Datastore: h.Storage, Log: d.hostLog(h), Now: d.now,
		Password: func() ([]byte, error) { return secret, nil }}
}

func (d *Daemon) hypervConfig(h inventory.Host, secret []byte) hyperv.Config {
	return hyperv.Config{URL: h.URL, Owner: d.id, Thumbprint: h.Thumbprint, Storage: h.Storage, Network: h.Network, Log: d.hostLog(h), Now: d.now,
		Password: func() ([]byte, error) { return secret, nil },
		Offer: func(ctx context.Context, name string, a hypervisor.Artefact) (hyperv.Offer, func(), error) {
			return d.offers.offer(ctx, h, name, a)
		}}
}

// formats are the image store's names of what hosts take.
var formats = map[hypervisor.Format]images.Format{hypervisor.QCOW2: images.FormatQcow2, hypervisor.VMDK: images.FormatVMDK, hypervisor.VHDX: images.FormatVHDX}

// goldenImage offers an image of the store to a driver.
func (d *Daemon) goldenImage(_ context.Context, i inventory.Image) (hypervisor.Image, error) {
	open := func(ctx context.Context, f hypervisor.Format) (hypervisor.Artefact, error) {
		derived, err := d.images.images.Derive(ctx, i.Digest, formats[f])
		if err != nil {
			return hypervisor.Artefact{}, err
		}
		file, err := os.Open(derived.Path)
		if err != nil {
			return hypervisor.Artefact{}, fmt.Errorf("open image %s: %w", i.Name, err)
		}
		return hypervisor.Artefact{Content: file, SizeBytes: derived.SizeBytes, SHA256: derived.SHA256}, nil
	}
	return hypervisor.Image{Digest: i.Digest, Name: i.Name, SizeBytes: i.SizeBytes, BootModes: i.BootModes, Open: open}, nil
}

// bootNetwork is the network of a VM's first NIC, in its host's words.
func bootNetwork(m *inventory.Machine, h inventory.Host) string {
	if len(m.Spec.VM.NICs) > 0 && m.Spec.VM.NICs[0].Network != "" {
		return m.Spec.VM.NICs[0].Network
	}
	return h.Network
}

// listenFor makes the server listen where a VM phones home.
func (d *Daemon) listenFor(ctx context.Context, m *inventory.Machine, h inventory.Host, driver hypervisor.Driver) error {
	_, err := d.guests.base(ctx, h, bootNetwork(m, h), driver)
	return err
}

// vmSeed packs the documents of a VM, with a phone-home address that its guest can reach.
func (d *Daemon) vmSeed(ctx context.Context, m *inventory.Machine, h inventory.Host, driver hypervisor.Driver) ([]byte, error) {
	base, err := d.guests.base(ctx, h, bootNetwork(m, h), driver)
	if err != nil {
		return nil, err
	}
	in := seed.Input{Machine: m, PhoneHomeURL: base + guest.PhoneHomePath(d.key, m.ID, m.Spec.Generation)}
	err = d.store.View(ctx, func(x inventory.Tx) error {
		in.UserData, err = x.UserData(ctx, m.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	docs, err := seed.Make(in)
	if err != nil {
		return nil, err
	}
	return seed.Pack(docs, inventory.VMSectorBytes)
}
