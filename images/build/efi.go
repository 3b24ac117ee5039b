package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// efiFiles are the signed boot loaders on the EFI system partition. Shim starts
// grubx64.efi from its own folder. Shim's fallback loader (fbx64.efi) is left out:
// it writes boot entries of its own and resets the machine, which would undo the
// boot order that the agent set.
var efiFiles = []struct{ source, target string }{
	{signedShim, "::/EFI/BOOT/BOOTX64.EFI"},
	{signedGRUB, "::/EFI/BOOT/grubx64.efi"},
	{mokManager, "::/EFI/BOOT/mmx64.efi"},
	{signedShim, "::/EFI/debian/shimx64.efi"},
	{signedGRUB, "::/EFI/debian/grubx64.efi"},
	{mokManager, "::/EFI/debian/mmx64.efi"},
}

// grubEntry is what GRUB starts.
type grubEntry struct {
	title, kernel, initrd, commandLine string
	// searchUUID is the file system that holds kernel and initrd.
	searchUUID string
}

// config writes grub.cfg. It is read from the disk by BIOS and UEFI GRUB, and by a
// GRUB that came over the network and found it with "search --file": so it sets
// root by itself and names everything from the top.
func (e grubEntry) config() string {
	return fmt.Sprintf(`set default=0
set timeout=1
if [ "$grub_platform" = "pc" ]; then
  serial --unit=0 --speed=115200
  terminal_input serial console
  terminal_output serial console
fi
search --no-floppy --set=root --fs-uuid %s
menuentry '%s' {
  search --no-floppy --set=root --fs-uuid %s
  linux %s %s
  initrd %s
}
`, e.searchUUID, e.title, e.searchUUID, e.kernel, e.commandLine, e.initrd)
}

// installEFI makes the EFI system partition: boot loaders, grub.cfg and extra
// files (source, target).
func (b *build) installEFI(ctx context.Context, l *layout, entry grubEntry, extra ...[2]string) error {
	offset, length := l.table.Offset(l.esp)
	config := filepath.Join(b.dir, "grub.cfg")
	if err := os.WriteFile(config, []byte(entry.config()), 0o600); err != nil {
		return fmt.Errorf("write grub.cfg: %w", err)
	}
	image := fmt.Sprintf("%s@@%d", l.path, offset)
	// A cluster has one sector at least; FAT16 has 4085 to 65524 clusters.
	const espClusterBytes = 2048
	// --invariant fixes the time stamp and the volume ID, so -i must follow it.
	steps := [][]string{
		{"mkfs.vfat", "-F", "16", "-S", fmt.Sprint(l.table.SectorBytes), "-s", fmt.Sprint(max(1, espClusterBytes/l.table.SectorBytes)), "-n", "ESP", "--invariant", "-i", strings.ReplaceAll(l.espUUID, "-", ""),
			fmt.Sprintf("--offset=%d", l.esp.FirstLBA), l.path, fmt.Sprint(length / 1024)},
		{"mmd", "-i", image, "::/EFI", "::/EFI/BOOT", "::/EFI/debian"},
		{"mcopy", "-i", image, config, "::/EFI/debian/grub.cfg"},
	}
	for _, f := range efiFiles {
		steps = append(steps, []string{"mcopy", "-i", image, f.source, f.target})
	}
	for _, f := range extra {
		steps = append(steps, []string{"mcopy", "-i", image, f[0], f[1]})
	}
	for _, step := range steps {
		if _, err := b.run(ctx, step[0], step[1:]...); err != nil {
			return fmt.Errorf("make EFI system partition: %w", err)
		}
	}
	return nil
}
