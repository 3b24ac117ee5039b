package build

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// debian makes the disk of a Debian recipe.
func (b *build) debian(ctx context.Context) error {
	names, keys := b.recipe.allPackages()
	b.step("get packages", fmt.Sprintf("%d packages named, and what they need", len(names)))
	if err := b.resolve(ctx, packageSet{names: names, keys: keys, whole: true}); err != nil {
		return err
	}
	repository, err := b.repository()
	if err != nil {
		return err
	}
	b.step("install packages", fmt.Sprintf("%d packages, %d steps", len(b.inputs.Packages), len(b.recipe.actions())))
	t, err := newTree(filepath.Join(b.dir, "spool"))
	if err != nil {
		return err
	}
	t.devices = true
	if err := b.bootstrap(ctx, repository, names, t); err != nil {
		return err
	}
	l, err := newLayout(b.recipe, b.raw)
	if err != nil {
		return err
	}
	b.step("clean", "")
	if err := b.configure(t, l); err != nil {
		return fmt.Errorf("configure image: %w", err)
	}
	return b.finish(ctx, t, l)
}

// finish makes the root file system and the boot loaders.
func (b *build) finish(ctx context.Context, t *tree, l *layout) error {
	if err := t.checkInitrd(); err != nil {
		return err
	}
	b.step("make root file system", "ext4")
	if err := b.makeExt4(ctx, t, l); err != nil {
		return err
	}
	b.step("install boot loaders", b.recipe.bootNames())
	entry := grubEntry{title: b.recipe.Name, kernel: "/vmlinuz", initrd: "/initrd.img", searchUUID: l.rootUUID,
		commandLine: "root=UUID=" + l.rootUUID + " " + b.recipe.KernelCommandLine}
	return errors.Join(b.installEFI(ctx, l, entry), b.installBIOS(ctx, l))
}

// bootstrap installs the packages of the repository, runs the recipe's steps, and reads
// the system into a tree.
func (b *build) bootstrap(ctx context.Context, repository string, packages []string, t *tree) error {
	args := []string{mode(), "--variant=minbase", "--architectures=amd64", "--format=tar",
		`--aptopt=APT::Install-Recommends "false"`, `--aptopt=Acquire::Languages "none"`, `--aptopt=APT::Sandbox::User "root"`,
		"--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-include=/usr/share/doc/*/copyright", "--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/info/*",
		"--include=" + strings.Join(packages, ","),
		`--essential-hook=mkdir -p "$1/etc/initramfs-tools/conf.d" && printf "COMPRESS=zstd\nCOMPRESSLEVEL=3\n" > "$1/etc/initramfs-tools/conf.d/ingot"`}
	hooks, err := b.writeHooks()
	if err != nil {
		return fmt.Errorf("write steps: %w", err)
	}
	for _, hook := range hooks {
		args = append(args, "--customize-hook="+hook)
	}
	args = append(args, b.recipe.Release, "-", "deb [trusted=yes] copy:"+repository+" ./")
	r, w := io.Pipe()
	read := make(chan error, 1)
	go func() {
		err := t.readTar(r)
		_, rest := io.Copy(io.Discard, r) // the padding of the archive
		r.CloseWithError(err)
		read <- errors.Join(err, rest)
	}()
	var said bytes.Buffer
	err = b.runTo(ctx, w, &said, "mmdebstrap", args...)
	w.Close()
	if readErr := <-read; err == nil {
		err = readErr
	}
	if step := b.failedStep(said.String()); err != nil && step != nil {
		return errors.Join(ctx.Err(), step)
	}
	return err
}

// scrubbed are paths that hold state of the machine an image was built on, or
// would make two machines the same, or two builds differ.
var scrubbed = []string{"etc/ssh/ssh_host_*", "var/lib/dhcp/*", "var/lib/systemd/random-seed", "var/lib/systemd/credential.secret", "var/lib/dbus/machine-id",
	"var/lib/apt/lists/*", "var/cache/apt/*", "var/cache/ldconfig/aux-cache", "var/cache/debconf/*-old", "var/lib/dpkg/*-old", "var/log/*.log", "var/log/apt/*",
	"var/log/journal/*", "var/log/lastlog", "var/log/faillog", "var/log/btmp", "var/log/wtmp", "etc/apt/apt.conf.d/99mmdebstrap", "etc/apt/sources.list.d/*",
	"etc/*-", "etc/resolv.conf.dpkg-*", "var/lib/ucf/*.[0-9]", "var/lib/ucf/cache/*:*.dpkg-*",
	"etc/netplan/*", "var/lib/cloud/*", "tmp/*", "var/tmp/*", "run/*", "root/.bash_history", "root/.wget-hsts", "root/.cache"}

// configure writes what depends on the disk, and takes out what must be new on each
// machine: machine-id, host keys, DHCP state, random seed, package lists.
func (b *build) configure(t *tree, l *layout) error {
	for _, pattern := range scrubbed {
		if err := t.glob(pattern); err != nil {
			return err
		}
	}
	for _, f := range []File{
		{Path: "/etc/fstab", Content: l.fstab()},
		// Empty, so that systemd makes one and keeps it (machine-id(5)), without the
		// questions of a first boot that the word "uninitialized" brings.
		{Path: "/etc/machine-id", Mode: 0o444},
	} {
		if err := t.write(f); err != nil {
			return err
		}
	}
	if b.recipe.Source == nil {
		if err := t.write(File{Path: "/etc/apt/sources.list", Content: strings.Join(b.recipe.sources(), "\n") + "\n"}); err != nil {
			return err
		}
	}
	if err := t.datePython(); err != nil {
		return err
	}
	t.makeDirs("boot")
	return t.mkdir("boot/efi", 0o700)
}

// datePython corrects Python's caches, which hold the time of their source (PEP 552), for
// sources of packages newer than sourceDate: else Python would compile them at each start.
func (t *tree) datePython() error {
	for p, e := range t.entries {
		if e.kind != tar.TypeReg || e.size < 16 || !strings.HasSuffix(p, ".pyc") {
			continue
		}
		if err := datePyc(e.content); err != nil {
			return err
		}
	}
	return nil
}

func datePyc(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 12) // magic, flags (0: by time), time of the source
	if _, err := f.ReadAt(head, 0); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(head[4:]) != 0 || int64(binary.LittleEndian.Uint32(head[8:])) <= sourceDate {
		return nil
	}
	_, err = f.WriteAt(binary.LittleEndian.AppendUint32(nil, sourceDate), 8)
	return err
}

func (l *layout) fstab() string {
	return fmt.Sprintf("UUID=%s / ext4 defaults,errors=remount-ro 0 1\nUUID=%s /boot/efi vfat umask=0077,nofail 0 2\n", l.rootUUID, l.espUUID)
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
