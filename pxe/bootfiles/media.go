package bootfiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Medium describes a boot medium for machines that cannot boot from a network.
type Medium struct {
	// Root is the folder with Debian's packages that the set was built from.
	Root string
	// Out is the file to make. It is replaced when it is whole; devices are refused.
	Out string
	// KernelArgs are the words of the kernel's command line: where the server is,
	// and the consoles.
	KernelArgs []string
}

// ISO makes a CD image that boots on BIOS, UEFI, and UEFI with Secure Boot.
//
// Errors: a program or package that is missing is named.
func (s *Set) ISO(ctx context.Context, m Medium) error { return s.medium(ctx, "CD image", m) }

// USB makes an image for a USB stick, to be written to it with dd. It is a CD image
// as well, with a partition table: BIOS starts its boot sector, UEFI its EFI system
// partition.
func (s *Set) USB(ctx context.Context, m Medium) error { return s.medium(ctx, "USB image", m) }

func (s *Set) medium(ctx context.Context, what string, m Medium) error {
	if err := s.makeMedium(ctx, m); err != nil {
		return fmt.Errorf("make %s %s: %w", what, m.Out, err)
	}
	return nil
}

func (s *Set) makeMedium(ctx context.Context, m Medium) error {
	config, err := mediumConfig(m.KernelArgs)
	if err != nil {
		return err
	}
	if info, err := os.Stat(m.Out); err == nil && !info.Mode().IsRegular() {
		return errors.New("it exists and is not a file: make a file and write that to the device with dd")
	}
	out, err := filepath.Abs(m.Out)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(out), ".medium-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	tree := filepath.Join(work, "tree")
	if err := s.mediumTree(tree, config); err != nil {
		return err
	}
	if err := m.biosLoader(ctx, filepath.Join(tree, "boot/grub/eltorito.img")); err != nil {
		return err
	}
	if err := s.efiPartition(ctx, m.Root, filepath.Join(work, "efi.img")); err != nil {
		return err
	}
	if err := m.image(ctx, work); err != nil {
		return err
	}
	return os.Rename(filepath.Join(work, "out.iso"), out)
}

// mediumConfig is the GRUB configuration. Both stages are given to the kernel, so
// that the agent has all its drivers before it has a network.
func mediumConfig(args []string) (string, error) {
	for _, a := range args {
		if a == "" || strings.ContainsFunc(a, func(r rune) bool { return r <= ' ' || r == '\'' || r == 0x7f }) {
			return "", fmt.Errorf("kernel argument %q: use no spaces, quotes or control characters", a)
		}
	}
	line := ""
	if len(args) > 0 {
		line = " '" + strings.Join(args, "' '") + "'"
	}
	return `set timeout=3
set default=0
if [ "$grub_platform" = pc ]; then
	if serial --unit=0 --speed=115200; then
		terminal_input console serial
		terminal_output console serial
	fi
fi
menuentry "Ingot" {
	linux /ingot/` + Kernel + line + `
	initrd /ingot/` + FirstStage + ` /ingot/` + SecondStage + `
}
`, nil
}

// mediumTree puts the files of the ISO 9660 file system into dir. Debian's signed
// GRUB for CDs knows its medium by the file /.disk/info.
func (s *Set) mediumTree(dir, config string) error {
	files := map[string][]byte{
		".disk/info":         []byte("Ingot\n"),
		"boot/grub/grub.cfg": []byte(config),
	}
	for _, name := range []string{Kernel, FirstStage, SecondStage} {
		data, err := s.read(name)
		if err != nil {
			return err
		}
		files["ingot/"+name] = data
	}
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (s *Set) read(name string) ([]byte, error) {
	f, err := s.File(name)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(s.dir, f.Path))
}

// grubPC is where Debian has GRUB for BIOS (grub-pc-bin).
const grubPC = "usr/lib/grub/i386-pc"

// biosModules is all that GRUB needs on a BIOS machine to read the medium.
var biosModules = strings.Fields("biosdisk iso9660 part_msdos part_gpt normal configfile search search_fs_file linux test serial terminal echo minicmd reboot halt")

// biosLoader makes the boot image for BIOS. It looks for the medium by itself,
// since a stick is not where a CD would be.
func (m Medium) biosLoader(ctx context.Context, out string) error {
	early := filepath.Join(filepath.Dir(out), "early.cfg")
	if err := os.WriteFile(early, []byte("search --file --set=root /.disk/info\nset prefix=($root)/boot/grub\n"), 0o644); err != nil {
		return err
	}
	args := append([]string{"-O", "i386-pc-eltorito", "-d", filepath.Join(m.Root, grubPC), "-p", "/boot/grub", "-c", early, "-o", out}, biosModules...)
	return tool(ctx, "grub-common", "grub-mkimage", args...)
}

// efiPartition makes a FAT image with shim and GRUB where removable media have
// them (UEFI 2.10, 3.5.1.1).
func (s *Set) efiPartition(ctx context.Context, root, out string) error {
	const sizeBytes = 8 << 20
	if err := os.WriteFile(out, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(out, sizeBytes); err != nil {
		return err
	}
	if err := tool(ctx, "dosfstools", "mkfs.vfat", "-n", "INGOT-EFI", out); err != nil {
		return err
	}
	if err := tool(ctx, "mtools", "mmd", "-i", out, "::/EFI", "::/EFI/BOOT"); err != nil {
		return err
	}
	shim, err := s.File(ShimX64)
	if err != nil {
		return err
	}
	for _, c := range [][2]string{
		{filepath.Join(s.dir, shim.Path), "BOOTX64.EFI"},
		{filepath.Join(root, "usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed"), "grubx64.efi"},
		{filepath.Join(root, "usr/lib/shim/mmx64.efi.signed"), "mmx64.efi"},
	} {
		if err := tool(ctx, "mtools", "mcopy", "-i", out, c[0], "::/EFI/BOOT/"+c[1]); err != nil {
			return err
		}
	}
	return nil
}

// image makes the hybrid image work/out.iso of work/tree and work/efi.img.
func (m Medium) image(ctx context.Context, work string) error {
	return tool(ctx, "xorriso", "xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-V", "INGOT",
		"-o", filepath.Join(work, "out.iso"),
		"-b", "boot/grub/eltorito.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info",
		"--grub2-mbr", filepath.Join(m.Root, grubPC, "boot_hybrid.img"),
		"-append_partition", "2", "0xef", filepath.Join(work, "efi.img"), "-appended_part_as_gpt",
		"-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot",
		filepath.Join(work, "tree"))
}

// tool runs a program of this host, or says which Debian package has it.
func tool(ctx context.Context, pkg, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s is not here: install it with `apt-get install --no-install-recommends %s`", name, pkg)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}
