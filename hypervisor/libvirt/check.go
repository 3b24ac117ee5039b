package libvirt

import (
	"context"
	"fmt"
	"slices"

	lv "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"ingot/hypervisor"
)

const (
	// oldest is the version that this driver is tested with and that has all it asks for
	// (9.0.0).
	oldest = 9_000_000
	// Below these the host takes no machine that is worth it.
	diskLow, memoryLow = 10 << 30, 1 << 30
)

// Check implements hypervisor.Driver.
func (d *Driver) Check(ctx context.Context) ([]hypervisor.Finding, error) {
	findings := []hypervisor.Finding{d.checkConnection(ctx)}
	if findings[0].Level == hypervisor.Failed {
		return findings, ctx.Err()
	}
	findings = append(findings, d.checkAcceleration(), d.checkFirmware(), d.checkTPM())
	for _, check := range []func(context.Context) hypervisor.Finding{d.checkPool, d.checkNetwork, d.checkMemory} {
		findings = append(findings, check(ctx))
	}
	return findings, ctx.Err()
}

func fine(what, detail string) hypervisor.Finding {
	return hypervisor.Finding{What: what, Detail: detail, Level: hypervisor.OK}
}

func warning(what, detail, try string) hypervisor.Finding {
	return hypervisor.Finding{What: what, Detail: detail, Level: hypervisor.Warning, Try: try}
}

func failed(what string, err error, try string) hypervisor.Finding {
	return hypervisor.Finding{What: what, Detail: err.Error(), Level: hypervisor.Failed, Try: try}
}

// checkConnection asks something again that Open asked: the daemon may have gone since.
func (d *Driver) checkConnection(ctx context.Context) hypervisor.Finding {
	const what = "connection"
	version, err := ask(ctx, d.link, "version", func(r *lv.Libvirt) (uint64, error) { return r.ConnectGetLibVersion() })
	switch {
	case err != nil:
		return d.place.obstacle(err)
	case version < oldest:
		return warning(what, "libvirt "+versionText(version)+" at "+d.config.URL, "libvirt "+versionText(oldest)+" or newer is what Ingot is tested with")
	}
	return fine(what, "libvirt "+versionText(version)+" at "+d.config.URL)
}

func (d *Driver) checkAcceleration() hypervisor.Finding {
	if d.caps.Accelerated {
		return fine("KVM", d.kvm)
	}
	return warning("KVM", "guests are emulated, and slow: "+d.kvm, "turn on virtualization in the host's firmware (or nested virtualization below it), and let QEMU's user open /dev/kvm")
}

func (d *Driver) checkFirmware() hypervisor.Finding {
	const what, try = "UEFI", "on Debian: apt-get install ovmf"
	switch {
	case !d.caps.UEFI:
		return warning(what, "no UEFI firmware: machines boot by BIOS only", try)
	case !d.caps.SecureBoot:
		return warning(what, "UEFI without Secure Boot", try)
	}
	return fine(what, "with Secure Boot")
}

func (d *Driver) checkTPM() hypervisor.Finding {
	if d.caps.TPM {
		return fine("TPM", "emulated by swtpm")
	}
	return warning("TPM", "no emulator", "on Debian: apt-get install swtpm swtpm-tools, and restart libvirtd")
}

// checkPool looks at the pool without making or starting it.
func (d *Driver) checkPool(ctx context.Context) hypervisor.Finding {
	what := "storage pool " + d.config.Pool
	it, err := ask(ctx, d.link, "find pool", func(r *lv.Libvirt) (lv.StoragePool, error) { return r.StoragePoolLookupByName(d.config.Pool) })
	if missing(err) {
		if _, err := d.poolXML(); err != nil {
			return failed(what, err, "set the directory for the pool, or make one: virsh pool-define-as "+d.config.Pool+" dir --target DIRECTORY")
		}
		return fine(what, "is made with the first image")
	}
	if err != nil {
		return failed(what, err, "")
	}
	state, free, err := d.poolState(ctx, it)
	switch {
	case err != nil:
		return failed(what, err, "")
	case lv.StoragePoolState(state) != lv.StoragePoolRunning:
		return warning(what, "is not started", "it is started when it is needed; to see why it was not: virsh pool-start "+d.config.Pool)
	case free < diskLow:
		return warning(what, fmt.Sprintf("%d MiB free", free>>20), "remove images and machines that nobody needs, or put the pool on a larger disk")
	}
	return d.checkSearchable(ctx, it, fmt.Sprintf("%d MiB free", free>>20))
}

func (d *Driver) poolState(ctx context.Context, it lv.StoragePool) (state uint8, free int64, err error) {
	_, err = ask(ctx, d.link, "read pool", func(r *lv.Libvirt) (struct{}, error) {
		s, _, _, available, err := r.StoragePoolGetInfo(it)
		state, free = s, int64(available)
		return struct{}{}, err
	})
	return state, free, err
}

// checkSearchable looks at the directory's mode: QEMU's user must be able to pass through
// (dmacvicar/terraform-provider-libvirt#546 and #1024). A user's own daemon runs QEMU as
// the same user.
func (d *Driver) checkSearchable(ctx context.Context, it lv.StoragePool, detail string) hypervisor.Finding {
	what := "storage pool " + d.config.Pool
	text, err := ask(ctx, d.link, "read pool", func(r *lv.Libvirt) (string, error) { return r.StoragePoolGetXMLDesc(it, 0) })
	if err != nil {
		return failed(what, err, "")
	}
	var desc libvirtxml.StoragePool
	if err := desc.Unmarshal(text); err != nil || desc.Target == nil || desc.Target.Permissions == nil {
		return fine(what, detail)
	}
	if !slices.Contains(filePools, desc.Type) {
		return failed(what, fmt.Errorf("it is of type %s: clones need one whose volumes are files", desc.Type), "name another pool, or a new one, which is made")
	}
	mode := desc.Target.Permissions.Mode
	if !d.place.session && mode != "" && (mode[len(mode)-1]-'0')&1 == 0 {
		return warning(what, fmt.Sprintf("%s has mode %s: QEMU, which is another user, may not pass", desc.Target.Path, mode), "chmod o+x "+desc.Target.Path)
	}
	return fine(what, detail+" in "+desc.Target.Path)
}

func (d *Driver) checkNetwork(ctx context.Context) hypervisor.Finding {
	const what = "network"
	name, err := d.usualNetwork(ctx)
	switch {
	case missing(err):
		return warning(what, `there is no network "default": each NIC must name its network`, "virsh net-define /usr/share/libvirt/networks/default.xml (Debian: libvirt-daemon-config-network)")
	case err != nil:
		return failed(what, err, "")
	case name == userNetwork:
		return warning(what, "a user's own libvirt: guests reach out through QEMU, nobody reaches them", "use qemu:///system for machines on the network")
	}
	active, err := ask(ctx, d.link, "read network", func(r *lv.Libvirt) (int32, error) {
		n, err := r.NetworkLookupByName(name)
		if err != nil {
			return 0, err
		}
		return r.NetworkIsActive(n)
	})
	if err != nil {
		return failed(what, err, "")
	}
	if active == 0 {
		return fine(what, `network "default" is off: it is started with the first machine on it`)
	}
	return fine(what, `network "default" is up`)
}

func (d *Driver) checkMemory(ctx context.Context) hypervisor.Finding {
	const what = "memory"
	free, err := d.freeMemory(ctx)
	if err != nil {
		return failed(what, err, "")
	}
	detail := fmt.Sprintf("%d MiB free of %d", free>>20, d.caps.MemoryBytes>>20)
	if free < memoryLow {
		return warning(what, detail, "switch machines off, or add memory")
	}
	return fine(what, detail)
}
