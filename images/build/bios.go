package build

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
)

// Offsets in GRUB's boot.img and in the first sector of core.img, from the
// i386-pc boot protocol (grub-core/boot/i386/pc, include/grub/i386/pc/boot.h).
const (
	bootCodeBytes      = 440
	bootKernelSector   = 0x5C // where core.img starts, 8 bytes
	bootDriveCheck     = 0x66 // a jump; two nops make GRUB take the drive the BIOS named, or 0x80
	coreBlocklist      = 0x200 - 12
	coreBlocklistCount = coreBlocklist + 8
	coreBlocklistSeg   = coreBlocklist + 10
	coreLoadSegment    = 0x800 + 0x20
)

// biosModules are built into core.img, so that BIOS needs no modules on a disk.
var biosModules = []string{"biosdisk", "part_gpt", "fat", "ext2", "normal", "configfile", "linux", "search", "search_fs_uuid", "search_fs_file",
	"echo", "test", "serial", "terminal", "ls", "cat", "reboot", "halt", "gzio", "sleep"}

// installBIOS writes GRUB's boot sector and core image, which look for grub.cfg on
// the EFI system partition. A disk that no BIOS boots gets none.
func (b *build) installBIOS(ctx context.Context, l *layout) error {
	if !b.recipe.bootsBIOS() {
		return nil
	}
	config := filepath.Join(b.dir, "early.cfg")
	early := fmt.Sprintf("search.fs_uuid %s root\nset prefix=($root)/EFI/debian\n", l.espUUID)
	if err := os.WriteFile(config, []byte(early), 0o600); err != nil {
		return fmt.Errorf("write GRUB's early configuration: %w", err)
	}
	corePath := filepath.Join(b.dir, "core.img")
	args := append([]string{"--format=i386-pc", "--directory=" + grubPC, "--prefix=/EFI/debian", "--config=" + config, "--output=" + corePath}, biosModules...)
	if _, err := b.run(ctx, "grub-mkimage", args...); err != nil {
		return err
	}
	core, err := os.ReadFile(corePath)
	if err != nil {
		return fmt.Errorf("read GRUB's core image: %w", err)
	}
	boot, err := os.ReadFile(bootImage)
	if err != nil {
		return fmt.Errorf("read GRUB's boot sector: %w", err)
	}
	offset, length := l.table.Offset(l.bios)
	if err := placeCore(boot, core, l.bios.FirstLBA, length); err != nil {
		return err
	}
	if err := l.writeAt(boot[:bootCodeBytes], 0); err != nil {
		return fmt.Errorf("write boot sector: %w", err)
	}
	if err := l.writeAt(core, offset); err != nil {
		return fmt.Errorf("write GRUB's core image: %w", err)
	}
	return nil
}

// placeCore tells the boot sector where core.img starts, and core.img's first
// sector where the rest of it is: in one run, from firstLBA.
func placeCore(boot, core []byte, firstLBA, partitionBytes int64) error {
	if len(boot) != 512 || len(core) < 1024 || int64(len(core)) > partitionBytes {
		return fmt.Errorf("install GRUB for BIOS: boot sector of %d bytes and core image of %d bytes don't fit %d", len(boot), len(core), partitionBytes)
	}
	binary.LittleEndian.PutUint64(boot[bootKernelSector:], uint64(firstLBA))
	boot[bootDriveCheck], boot[bootDriveCheck+1] = 0x90, 0x90
	sectors := (len(core) + 511) / 512
	binary.LittleEndian.PutUint64(core[coreBlocklist:], uint64(firstLBA+1))
	binary.LittleEndian.PutUint16(core[coreBlocklistCount:], uint16(sectors-1))
	binary.LittleEndian.PutUint16(core[coreBlocklistSeg:], coreLoadSegment)
	return nil
}
