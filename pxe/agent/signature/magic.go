package signature

// magic is a text that stands at a fixed place; a negative offset counts from the end.
type magic struct {
	name       string
	offsetByte int64
	text       string
}

// magics are the signatures that one fixed text tells. The source stands beside each:
// "linux:" names a file of the kernel's tree, from its root.
var magics = []magic{
	// File systems.
	{"xfs", 0, "XFSB"},                                    // linux: fs/xfs/libxfs/xfs_format.h XFS_SB_MAGIC
	{"btrfs", 0x10040, "_BHRfS_M"},                        // linux: fs/btrfs/ctree.h BTRFS_MAGIC, superblock at 64 KiB
	{"ntfs", 3, "NTFS    "},                               // linux: fs/ntfs3/ntfs_fs.h, OEM id of the boot sector
	{"exfat", 3, "EXFAT   "},                              // Microsoft exFAT specification, 3.1.2
	{"iso9660", 0x8001, "CD001"},                          // ECMA-119, 8.1.2: sector 16 of 2048 bytes
	{"squashfs", 0, "hsqs"},                               // linux: fs/squashfs/squashfs_fs.h SQUASHFS_MAGIC
	{"squashfs", 0, "sqsh"},                               // the same, big endian
	{"f2fs", 1024, "\x10\x20\xf5\xf2"},                    // linux: include/linux/f2fs_fs.h F2FS_SUPER_OFFSET
	{"erofs", 1024, "\xe2\xe1\xf5\xe0"},                   // linux: fs/erofs/erofs_fs.h EROFS_SUPER_MAGIC_V1
	{"jfs", 0x8000, "JFS1"},                               // linux: fs/jfs/jfs_superblock.h, SUPER1_OFF
	{"reiserfs", 0x10034, "ReIsErFs"},                     // linux: fs/reiserfs/reiserfs.h, 64 KiB + 52
	{"reiserfs", 0x10034, "ReIsEr2Fs"},                    // format 3.6
	{"reiserfs", 0x10034, "ReIsEr3Fs"},                    // journal elsewhere
	{"reiserfs", 0x2034, "ReIsErFs"},                      // REISERFS_OLD_DISK_OFFSET_IN_BYTES
	{"reiser4", 0x10000, "ReIsEr4"},                       // reiser4progs, master superblock
	{"nilfs2", 1024, "\x02\x00\x00\x00\x00\x00\x34\x34"},  // linux: include/uapi/linux/nilfs2_ondisk.h NILFS_SUPER_MAGIC
	{"hfs+", 1024, "H+\x00\x04"},                          // Apple TN1150, volume header, version 4
	{"hfs+", 1024, "HX\x00\x05"},                          // HFSX, version 5
	{"apfs", 32, "NXSB"},                                  // Apple File System Reference, nx_superblock_t
	{"gfs2", 0x10000, "\x01\x16\x19\x70\x00\x00\x00\x01"}, // linux: include/uapi/linux/gfs2_ondisk.h, sector 128
	{"ocfs2", 1024, "OCFSV2"},                             // linux: fs/ocfs2/ocfs2_fs.h, block 2 of 512 bytes
	{"ocfs2", 2048, "OCFSV2"},                             // blocks of 1, 2 and 4 KiB
	{"ocfs2", 4096, "OCFSV2"},
	{"ocfs2", 8192, "OCFSV2"},
	{"cramfs", 0, "\x45\x3d\xcd\x28"},      // linux: include/uapi/linux/cramfs_fs.h
	{"bcachefs", 4120, bcachefsUUID},       // linux: fs/bcachefs/bcachefs_format.h BCHFS_MAGIC
	{"vmfs", 0x100000, "\x0d\xd0\x01\xc0"}, // util-linux libblkid/src/superblocks/vmfs.c: volume at 1 MiB
	{"vmfs", 0x200000, "\x5e\xf1\xab\x2f"}, // the file system header at 2 MiB
	{"Oracle ASM disk", 32, "ORCLDISK"},    // oracleasm-support, disk label
	{"vxfs", 1024, "\xf5\xfc\x01\xa5"},     // linux: fs/freevxfs/vxfs.h VXFS_SUPER_MAGIC, little-endian in block 1
	{"vxfs", 8192, "\xa5\x01\xfc\xf5"},     // big-endian (HP-UX) in block 8

	// Containers.
	{"LUKS1", 0, "LUKS\xba\xbe\x00\x01"},               // LUKS1 on-disk format, 2.1
	{"LUKS2", 0, "LUKS\xba\xbe\x00\x02"},               // LUKS2 on-disk format, 2.1
	{"LUKS2 (second header)", 0x4000, "SKUL\xba\xbe"},  // 2.1.1: at 16 KiB with the default header size
	{"BitLocker", 3, "-FVE-FS-"},                       // libbde, volume header of Windows Vista and later
	{"BitLocker", 424, bitLockerToGo},                  // BitLocker To Go: a FAT boot sector with this GUID
	{"bcache", 4120, bcacheUUID},                       // linux: drivers/md/bcache/bcache_ondisk.h, SB_SECTOR 8
	{"Ceph BlueStore", 0, "bluestore block device\n"},  // ceph: src/os/bluestore/bluestore_types.h label
	{"dm-verity", 0, "verity\x00\x00"},                 // linux: Documentation/admin-guide/device-mapper/verity.rst
	{"dm-integrity", 0, "integrt\x00"},                 // linux: drivers/md/dm-integrity.c SB_MAGIC
	{"dm snapshot", 0, "SnAp"},                         // linux: drivers/md/dm-snap-persistent.c
	{"VDO", 0, "dmvdo001"},                             // linux: drivers/md/dm-vdo/constants.h
	{"Stratis", 0x204, "!Stra0tis\x86\xff\x02^\x41rh"}, // Stratis design, 8.2: static header in sector 1
	{"Windows dynamic disk", 0xc00, "PRIVHEAD"},        // linux: block/partitions/ldm.h, sector 6
	{"DRBD 8", -4036, "\x83\x74\x02\x6b"},              // drbd-utils: drbdmeta, magic 60 bytes into the last 4 KiB
	{"DRBD 8", -4036, "\x83\x74\x02\x6c"},              // 8.4 that was not cleanly shut down
	{"DRBD 9", -4036, "\x83\x74\x02\x6d"},

	// Virtual disk files that were written where a raw image belongs.
	{"qcow2 image", 0, "QFI\xfb"},          // QEMU docs/interop/qcow2.txt
	{"VHDX image", 0, "vhdxfile"},          // MS-VHDX, 2.2.1
	{"VMDK image", 0, "KDMV"},              // VMware Virtual Disk Format, sparse extent header
	{"zstd stream", 0, "\x28\xb5\x2f\xfd"}, // RFC 8878, 3.1.1
	{"gzip stream", 0, "\x1f\x8b\x08"},     // RFC 1952, 2.3.1
	{"xz stream", 0, "\xfd7zXZ\x00"},       // XZ file format, 2.1.1.1
}

// raidMagics are metadata of firmware RAID, which stand near the end of a whole disk.
var raidMagics = []magic{
	{"Intel Matrix RAID", -1024, "Intel Raid ISM Cfg Sig. "}, // mdadm: super-intel.c MPB_SIGNATURE, second sector from the end
	{"Intel Matrix RAID", -8192, "Intel Raid ISM Cfg Sig. "}, // 4096-byte sectors
	{"LSI MegaRAID (software)", -512, "$XIDE$"},              // util-linux libblkid lsi_raid.c
	{"NVIDIA RAID", -1024, "NVIDIA"},                         // dmraid: format/ataraid/nv.h
}

// UUIDs in the byte order of the disk.
const (
	bcacheUUID    = "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"
	bcachefsUUID  = "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"
	bitLockerToGo = "\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01"
)

// matchMagics finds the fixed texts. None is dropped because another one matched: a disk
// may carry the remains of several.
func matchMagics(r region) []string { return matchTable(r, magics) }

func matchRAID(r region) []string { return matchTable(r, raidMagics) }

func matchTable(r region, table []magic) []string {
	var out []string
	for _, m := range table {
		if r.at(m.offsetByte, m.text) {
			out = append(out, m.name)
		}
	}
	return out
}
