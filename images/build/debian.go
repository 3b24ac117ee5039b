package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// bootstrap unpacks the recipe's packages into dir.
func (b *build) bootstrap(ctx context.Context, variant, dir string) error {
	r := b.recipe
	args := []string{"--mode=root", "--variant=" + variant, "--architectures=amd64", "--format=directory",
		`--aptopt=APT::Install-Recommends "false"`, `--aptopt=Acquire::Languages "none"`, `--aptopt=Acquire::Retries "3"`,
		"--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-include=/usr/share/doc/*/copyright", "--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/info/*",
		"--components=" + strings.Join(r.Components, ","), "--include=" + strings.Join(r.Packages, ",")}
	if variant != "extract" {
		args = append(args, `--essential-hook=mkdir -p "$1/etc/initramfs-tools/conf.d" && printf "COMPRESS=zstd\nCOMPRESSLEVEL=3\n" > "$1/etc/initramfs-tools/conf.d/ingot"`)
	}
	args = append(args, r.Release, dir)
	_, err := b.run(ctx, "mmdebstrap", append(args, r.sources()...)...)
	return err
}

// sources are the lines of sources.list for the recipe's mirrors; without a mirror there
// are none, and mmdebstrap takes Debian's own with updates and security.
func (r Recipe) sources() []string {
	if r.Mirror == "" {
		return nil
	}
	components := strings.Join(r.Components, " ")
	out := []string{fmt.Sprintf("deb %s %s %s", r.Mirror, r.Release, components), fmt.Sprintf("deb %s %s-updates %s", r.Mirror, r.Release, components)}
	if r.SecurityMirror != "" {
		out = append(out, fmt.Sprintf("deb %s %s-security %s", r.SecurityMirror, r.Release, components))
	}
	return out
}

// debian makes the disk of a Debian recipe.
func (b *build) debian(ctx context.Context) error {
	root := filepath.Join(b.dir, "root")
	b.step("install packages", fmt.Sprintf("%d packages named, and what they need", len(b.recipe.Packages)))
	if err := b.bootstrap(ctx, "minbase", root); err != nil {
		return err
	}
	l, err := newLayout(b.recipe, b.raw)
	if err != nil {
		return err
	}
	b.step("configure", fmt.Sprintf("%d files", len(b.recipe.Files)))
	if err := b.configure(ctx, root, l); err != nil {
		return err
	}
	b.step("make root file system", "ext4")
	offset, length := l.table.Offset(l.root)
	if _, err := b.run(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-L", rootName, "-U", l.rootUUID, "-d", root,
		"-O", "^orphan_file,^metadata_csum_seed", "-m", "1", "-E", fmt.Sprintf("offset=%d,hash_seed=%s", offset, l.rootUUID), l.path, fmt.Sprintf("%dk", length/1024)); err != nil {
		return err
	}
	b.step("install boot loaders", "BIOS, UEFI, Secure Boot")
	entry := grubEntry{title: b.recipe.Name, kernel: "/vmlinuz", initrd: "/initrd.img", searchUUID: l.rootUUID,
		commandLine: "root=UUID=" + l.rootUUID + " " + b.recipe.KernelCommandLine}
	return errors.Join(b.installEFI(ctx, l, entry), b.installBIOS(ctx, l))
}

// configure writes the recipe's files, and takes out what must be new on each
// machine: machine-id, host keys, DHCP state, random seed, package lists.
func (b *build) configure(ctx context.Context, root string, l *layout) error {
	files := append([]File{{Path: "/etc/fstab", Content: fmt.Sprintf("UUID=%s / ext4 defaults,errors=remount-ro 0 1\nUUID=%s /boot/efi vfat umask=0077,nofail 0 2\n", l.rootUUID, l.espUUID)}}, b.recipe.Files...)
	if err := os.MkdirAll(filepath.Join(root, "boot/efi"), 0o700); err != nil {
		return fmt.Errorf("configure image: %w", err)
	}
	for _, f := range files {
		if err := writeFile(root, f); err != nil {
			return fmt.Errorf("configure image: %w", err)
		}
	}
	if len(b.recipe.Enable) > 0 {
		if _, err := b.run(ctx, "chroot", append([]string{root, "systemctl", "enable"}, b.recipe.Enable...)...); err != nil {
			return fmt.Errorf("configure image: %w", err)
		}
	}
	return scrub(root)
}

// scrubbed are paths that hold state of the machine an image was built on, or
// would make two machines the same.
var scrubbed = []string{"etc/ssh/ssh_host_*", "var/lib/dhcp/*", "var/lib/systemd/random-seed", "var/lib/dbus/machine-id", "var/lib/apt/lists/*",
	"var/cache/apt/*", "var/cache/ldconfig/aux-cache", "var/cache/debconf/*-old", "var/lib/dpkg/*-old", "var/log/*.log", "var/log/apt/*", "etc/apt/apt.conf.d/99mmdebstrap",
	"etc/netplan/*", "var/lib/cloud/*", "tmp/*", "root/.bash_history"}

func scrub(root string) error {
	for _, pattern := range scrubbed {
		matches, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return fmt.Errorf("scrub image: %w", err)
		}
		for _, path := range matches {
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("scrub image: %w", err)
			}
		}
	}
	// Empty, so that systemd makes one and keeps it (machine-id(5)), without the
	// questions of a first boot that the word "uninitialized" brings.
	return writeFile(root, File{Path: "/etc/machine-id", Mode: 0o444})
}

// writeFile writes a file below root, over what is there: never through a
// symbolic link that a package put in its place.
func writeFile(root string, f File) error {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer dir.Close()
	name := strings.TrimPrefix(f.Path, "/")
	if err := dir.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	mode := f.Mode
	if mode == 0 {
		mode = 0o644
	}
	if err := dir.WriteFile(name, []byte(f.Content), mode); err != nil {
		return err
	}
	return dir.Chmod(name, mode)
}
