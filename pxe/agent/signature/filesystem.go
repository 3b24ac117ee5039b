package signature

import (
	"encoding/binary"
	"slices"
)

// Bits of the ext superblock (linux: fs/ext4/ext4.h).
const (
	extHasJournal   = 0x4   // compatible
	extJournalDev   = 0x8   // incompatible
	ext4Incompat    = 0x3c0 // extents, 64bit, mmp, flex_bg
	ext4ROCompat    = 0x478 // huge_file, gdt_csum, dir_nlink, extra_isize, metadata_csum
	extMaxBlockLog  = 6     // blocks of 64 KiB
	extSuperblock   = 1024
	extMagic        = 0xef53
	extMagicOffset  = 0x38
	extCompatOffset = 0x5c
)

// matchExt tells ext2, ext3 and ext4 apart as their features do (linux: fs/ext4/ext4.h,
// struct ext4_super_block).
func matchExt(r region) []string {
	sb := r.bytes(extSuperblock, 0x68)
	if sb == nil || binary.LittleEndian.Uint16(sb[extMagicOffset:]) != extMagic {
		return nil
	}
	word := func(off int) uint32 { return binary.LittleEndian.Uint32(sb[off:]) }
	if word(4) == 0 || word(0x18) > extMaxBlockLog {
		return nil
	}
	compat, incompat, ro := word(extCompatOffset), word(extCompatOffset+4), word(extCompatOffset+8)
	switch {
	case incompat&extJournalDev != 0:
		return []string{"ext journal"}
	case incompat&ext4Incompat != 0, ro&ext4ROCompat != 0:
		return []string{"ext4"}
	case compat&extHasJournal != 0:
		return []string{"ext3"}
	}
	return []string{"ext2"}
}

// matchFAT checks the BIOS parameter block, as the type's text is not to be relied on
// (Microsoft FAT specification, "FAT type determination").
func matchFAT(r region) []string {
	b := r.bytes(0, 512)
	if b == nil || b[510] != 0x55 || b[511] != 0xaa || (b[0] != 0xeb && b[0] != 0xe9) {
		return nil
	}
	sector := binary.LittleEndian.Uint16(b[11:])
	media := b[21]
	if !slices.Contains([]uint16{512, 1024, 2048, 4096}, sector) || b[13] == 0 || b[13]&(b[13]-1) != 0 {
		return nil
	}
	if binary.LittleEndian.Uint16(b[14:]) == 0 || b[16] == 0 || b[16] > 2 || (media != 0xf0 && media < 0xf8) {
		return nil
	}
	return []string{"vfat"}
}

// matchSwap looks at the end of the first page, for every page size of Linux
// (linux: include/linux/swap.h, union swap_header), and for a hibernation image there.
func matchSwap(r region) []string {
	for page := int64(4096); page <= 64<<10; page *= 2 {
		switch string(r.bytes(page-10, 10)) {
		case "SWAPSPACE2", "SWAP-SPACE":
			return []string{"swap"}
		case "S1SUSPEND\x00", "S2SUSPEND\x00", "ULSUSPEND\x00", "LINHIB0001": // linux: kernel/power/swap.c
			return []string{"hibernation image"}
		}
	}
	return nil
}

// matchUFS looks where UFS1 and UFS2 may keep their superblock (FreeBSD
// sys/ufs/ffs/fs.h, SBLOCKSEARCH; fs_magic is 1372 bytes in), in both byte orders.
func matchUFS(r region) []string {
	for _, off := range []int64{8192, 0, 65536, 262144} {
		b := r.bytes(off+1372, 4)
		if b == nil {
			continue
		}
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			if m := order.Uint32(b); m == 0x00011954 || m == 0x19540119 {
				return []string{"ufs"}
			}
		}
	}
	return nil
}

// matchUDF reads the volume recognition sequence (ECMA-167, part 2, 8.3): descriptors of
// 2048 bytes, or of the sector size, from byte 32768.
func matchUDF(r region) []string {
	for _, step := range []int64{2048, 4096} {
		for n := range int64(4) {
			if id := string(r.bytes(0x8001+n*step, 5)); id == "NSR02" || id == "NSR03" {
				return []string{"udf"}
			}
		}
	}
	return nil
}
