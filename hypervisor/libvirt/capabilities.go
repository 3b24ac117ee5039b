package libvirt

import (
	"context"
	"fmt"
	"slices"
	"strings"

	lv "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"ingot/hypervisor"
)

// learn asks what the host can do.
func (d *Driver) learn(ctx context.Context) error {
	version, err := ask(ctx, d.link, "version", func(r *lv.Libvirt) (uint64, error) { return r.ConnectGetLibVersion() })
	if err != nil {
		return err
	}
	d.version = version
	d.caps = hypervisor.Capabilities{Product: "libvirt", Version: versionText(version), BIOS: true, LinkedClones: true, GrowRunning: true}
	if err := d.learnNode(ctx); err != nil {
		return err
	}
	if d.caps.Accelerated, d.kvm, err = d.learnKVM(ctx); err != nil {
		return err
	}
	desc, err := d.domainCaps(ctx, map[bool]string{true: "kvm", false: "qemu"}[d.caps.Accelerated])
	if err != nil {
		return err
	}
	d.caps.UEFI = desc.OS != nil && has(desc.OS.Enums, "firmware", "efi")
	d.caps.SecureBoot = d.caps.UEFI && desc.OS.Loader != nil && has(desc.OS.Loader.Enums, "secure", "yes")
	d.caps.TPM = desc.Devices != nil && desc.Devices.TPM != nil && has(desc.Devices.TPM.Enums, "backendModel", "emulator")
	return nil
}

// learnNode asks for the host's size (virNodeInfo: memory in KiB).
func (d *Driver) learnNode(ctx context.Context) error {
	_, err := ask(ctx, d.link, "size of the host", func(r *lv.Libvirt) (struct{}, error) {
		_, memory, cpus, _, _, _, _, _, err := r.NodeGetInfo()
		d.caps.CPUs, d.caps.MemoryBytes = int(cpus), int64(memory)<<10
		return struct{}{}, err
	})
	if err != nil {
		return err
	}
	d.caps.FreeMemoryBytes, err = d.freeMemory(ctx)
	return err
}

func (d *Driver) freeMemory(ctx context.Context) (int64, error) {
	free, err := ask(ctx, d.link, "free memory of the host", func(r *lv.Libvirt) (uint64, error) { return r.NodeGetFreeMemory() })
	return int64(free), err
}

// domainCaps is what a machine of this kind can have (formatdomaincaps).
func (d *Driver) domainCaps(ctx context.Context, kind string) (libvirtxml.DomainCaps, error) {
	var desc libvirtxml.DomainCaps
	text, err := ask(ctx, d.link, "capabilities of "+kind, func(r *lv.Libvirt) (string, error) {
		return r.ConnectGetDomainCapabilities(nil, lv.OptString{"x86_64"}, lv.OptString{"q35"}, lv.OptString{kind}, 0)
	})
	if err != nil {
		return desc, err
	}
	if err := desc.Unmarshal(text); err != nil {
		return desc, fmt.Errorf("libvirt: capabilities of %s: %w", kind, err)
	}
	return desc, nil
}

// has tells whether an enumeration has a value.
func has(enums []libvirtxml.DomainCapsEnum, name, value string) bool {
	return slices.ContainsFunc(enums, func(e libvirtxml.DomainCapsEnum) bool { return e.Name == name && slices.Contains(e.Values, value) })
}

// versionText writes libvirt's number (1,000,000 * major + 1,000 * minor + release).
func versionText(v uint64) string {
	return strings.Join([]string{fmt.Sprint(v / 1_000_000), fmt.Sprint(v / 1000 % 1000), fmt.Sprint(v % 1000)}, ".")
}
