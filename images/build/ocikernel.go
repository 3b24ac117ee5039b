package build

import (
	"archive/tar"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

//go:embed oci-init.sh
var ociInit string

// ociModules are what the initramfs needs to find the root.
var ociModules = []string{
	"virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "ahci", "ata_piix", "nvme", "megaraid_sas", "mptspi", "mptsas", "mpt3sas", "vmw_pvscsi",
	"hv_vmbus", "hv_storvsc", "ext4", "crc32c_generic",
}

const ociLoad = "virtio_pci virtio_blk virtio_scsi sd_mod nvme ahci crc32c_generic ext4"

// ociKernel adds the kernel, its modules and the initramfs where Debian's packages would put
// them: in /boot, with links to them in the root.
func (b *build) ociKernel(ctx context.Context, root string, t *tree) error {
	kernel, version, err := findKernel(root)
	if err != nil {
		return err
	}
	b.step("make initramfs", fmt.Sprintf("%d modules named, and what they need", len(ociModules)))
	initrd := filepath.Join(b.dir, "initrd.zst")
	if err := b.busyboxInitrd(ctx, root, version, ociModules, ociLoad, []File{{Path: "/init", Content: ociInit, Mode: 0o755}}, initrd); err != nil {
		return fmt.Errorf("make initramfs: %w", err)
	}
	for name, from := range map[string]string{"vmlinuz": kernel, "initrd.img": initrd} {
		at := "boot/" + name + "-" + version
		link := &entry{kind: tar.TypeSymlink, mode: 0o777, seconds: sourceDate, link: at}
		if err := errors.Join(t.addFile(at, from), t.add(name, link)); err != nil {
			return err
		}
	}
	// kmod, which the system has, reads only the binary tables that its own depmod makes.
	if _, err := b.run(ctx, "depmod", "-b", root, version); err != nil {
		return err
	}
	modules := filepath.Join(root, "lib", "modules")
	return filepath.WalkDir(modules, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		return t.addFile(rel, p)
	})
}
