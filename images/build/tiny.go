package build

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ingot/inventory"
)

//go:embed tiny-init.sh
var tinyInit string

//go:embed tiny-udhcpc.sh
var tinyUdhcpc string

// tinyModules are in the initramfs, with what they need: the disks and network
// cards of the virtual rack, and the seed's file system.
var tinyModules = []string{
	"virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net", "virtio_rng",
	"sd_mod", "sr_mod", "ahci", "ata_piix", "nvme", "megaraid_sas", "mptspi", "mptsas", "mpt3sas", "vmw_pvscsi",
	"e1000", "e1000e", "igb", "igbvf", "ixgbe", "vmxnet3", "hv_vmbus", "hv_storvsc", "hv_netvsc", "af_packet",
	"vfat", "nls_cp437", "nls_ascii", "nls_iso8859-1", "nls_utf8",
}

// tinyLoad are loaded by name; no device names them.
const tinyLoad = "virtio_pci virtio_blk virtio_scsi virtio_net sd_mod nvme ahci af_packet vfat nls_cp437 nls_ascii nls_iso8859-1 nls_utf8"

// tiny makes the disk of a tiny recipe: kernel and initramfs on the EFI system
// partition, nothing else. It needs no privilege.
func (b *build) tiny(ctx context.Context) error {
	root, err := b.unpack(ctx)
	if err != nil {
		return err
	}
	kernel, version, err := findKernel(root)
	if err != nil {
		return err
	}
	b.step("make initramfs", fmt.Sprintf("%d modules named, and what they need", len(tinyModules)))
	initrd := filepath.Join(b.dir, "initrd.zst")
	files := []File{{Path: "/init", Content: tinyInit, Mode: 0o755}, {Path: "/etc/udhcpc.sh", Content: tinyUdhcpc, Mode: 0o755}}
	if err := b.busyboxInitrd(ctx, root, version, tinyModules, tinyLoad, files, initrd); err != nil {
		return fmt.Errorf("make initramfs: %w", err)
	}
	l, err := newLayout(b.recipe, b.raw)
	if err != nil {
		return err
	}
	b.step("install boot loaders", b.recipe.bootNames())
	entry := grubEntry{title: b.recipe.Name, kernel: "/vmlinuz", initrd: "/initrd.img", searchUUID: l.espUUID, commandLine: b.recipe.KernelCommandLine}
	return errors.Join(b.installEFI(ctx, l, entry, [2]string{kernel, "::/vmlinuz"}, [2]string{initrd, "::/initrd.img"}), b.installBIOS(ctx, l))
}

// unpack gets the recipe's packages and unpacks those that it names, and kernels.
func (b *build) unpack(ctx context.Context) (root string, err error) {
	names, keys := b.recipe.allPackages()
	b.step("get packages", fmt.Sprintf("%d packages named, and what they need", len(names)))
	if err := b.resolve(ctx, packageSet{names: names, keys: keys}); err != nil {
		return "", err
	}
	b.step("unpack packages", strings.Join(names, ", "))
	root = filepath.Join(b.dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		return "", err
	}
	for _, p := range b.inputs.Packages {
		if !slices.Contains(names, p.Name) && !strings.HasPrefix(p.Name, "linux-image-") {
			continue
		}
		file, err := b.cache.verify(p.SHA256)
		if err != nil {
			return "", fmt.Errorf("read package %s %s: %w", p.Name, p.Version, err)
		}
		if _, err := b.run(ctx, "dpkg-deb", "--extract", file, root); err != nil {
			return "", err
		}
	}
	return root, nil
}

// findKernel returns the only kernel below root and its version.
func findKernel(root string) (path, version string, err error) {
	found, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*"))
	if err != nil || len(found) != 1 {
		return "", "", fmt.Errorf("find kernel: %d in the packages, want one", len(found))
	}
	_, version, _ = strings.Cut(filepath.Base(found[0]), "vmlinuz-")
	return found[0], version, nil
}

// busyboxInitrd makes an initramfs of busybox, kernel modules with what they need, and
// files; load are the modules that its init loads by name.
func (b *build) busyboxInitrd(ctx context.Context, root, version string, modules []string, load string, files []File, to string) error {
	tree := filepath.Join(b.dir, "initrd")
	for _, dir := range []string{"bin", "etc/acpi/PWRF"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			return err
		}
	}
	busybox, err := os.ReadFile(filepath.Join(root, "usr/bin/busybox"))
	if errors.Is(err, fs.ErrNotExist) {
		busybox, err = os.ReadFile(filepath.Join(root, "bin/busybox"))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return inventory.Invalid("%skey packages: busybox-static is not among them, and the initramfs is made of it", b.recipe.place("packages"))
	}
	if err != nil {
		return err
	}
	for _, f := range append(files,
		File{Path: "/bin/busybox", Content: string(busybox), Mode: 0o755},
		File{Path: "/etc/modules", Content: load + "\n"},
		File{Path: "/etc/acpi/PWRF/00000080", Content: "#!/bin/sh\npoweroff -f\n", Mode: 0o755},
	) {
		if err := writeFile(tree, f); err != nil {
			return err
		}
	}
	if err := b.copyModules(ctx, root, tree, version, modules); err != nil {
		return err
	}
	archive := filepath.Join(b.dir, "initrd.cpio")
	if _, err := b.run(ctx, "sh", "-c", `cd "$1" && find . -print0 | xargs -0r touch --no-dereference --date="@$SOURCE_DATE_EPOCH" && find . | LC_ALL=C sort | cpio --quiet --reproducible -R 0:0 -H newc -o > "$2"`, "sh", tree, archive); err != nil {
		return err
	}
	return compressFile(archive, to)
}
