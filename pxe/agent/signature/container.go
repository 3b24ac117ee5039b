package signature

import (
	"encoding/binary"
)

// mdMagic is MD_SB_MAGIC (linux: include/uapi/linux/raid/md_p.h).
const mdMagic = 0xa92b4efc

// matchMD looks where each version of the Linux RAID superblock stands: 1.1 at the
// start, 1.2 at 4 KiB, 1.0 between 8 and 12 KiB before the end, 0.90 in the last but one
// aligned 64 KiB, in the byte order of the machine that made it.
func matchMD(r region) []string {
	var out []string
	sectors := r.sizeBytes / 512
	for _, p := range []struct {
		name string
		off  int64
	}{{"Linux RAID 1.1", 0}, {"Linux RAID 1.2", 4096}, {"Linux RAID 1.0", ((sectors - 16) &^ 7) * 512}} {
		if b := r.bytes(max(p.off, 0), 8); b != nil && p.off >= 0 && binary.LittleEndian.Uint32(b) == mdMagic && binary.LittleEndian.Uint32(b[4:]) == 1 {
			out = append(out, p.name)
		}
	}
	off := r.sizeBytes&^(64<<10-1) - 64<<10
	if off < 0 {
		return out
	}
	if b := r.bytes(off, 4); b != nil && (binary.LittleEndian.Uint32(b) == mdMagic || binary.BigEndian.Uint32(b) == mdMagic) {
		out = append(out, "Linux RAID 0.90")
	}
	return out
}

// matchLVM finds the label of a physical volume in the first four sectors of 512 bytes
// (LVM2 lib/label/label.h, LABEL_SCAN_SECTORS).
func matchLVM(r region) []string {
	for n := range int64(4) {
		if r.at(n*512, "LABELONE") && r.at(n*512+24, "LVM2 001") {
			return []string{"LVM physical volume"}
		}
	}
	return nil
}

// zfsLabelBytes is the size of a ZFS label; two stand at the start and two at the end
// of the device, cut down to a multiple of it (OpenZFS include/sys/vdev_impl.h,
// vdev_label_t).
const zfsLabelBytes = 256 << 10

// matchZFS accepts a label by its name/value list, 16 KiB in, whose header says XDR and
// whose first name is "version" (OpenZFS module/nvpair: NV_ENCODE_XDR), or by the magic
// of an uberblock, 128 KiB in. One of four labels is enough.
func matchZFS(r region) []string {
	end := r.sizeBytes &^ (zfsLabelBytes - 1)
	for _, label := range []int64{0, zfsLabelBytes, end - 2*zfsLabelBytes, end - zfsLabelBytes} {
		if label < 0 {
			continue
		}
		if list := r.bytes(label+16<<10, 40); list != nil && list[0] == 1 && string(list[24:31]) == "version" {
			return []string{"ZFS pool member"}
		}
		if b := r.bytes(label+128<<10, 8); b != nil && (binary.LittleEndian.Uint64(b) == 0x00bab10c || binary.BigEndian.Uint64(b) == 0x00bab10c) {
			return []string{"ZFS pool member"}
		}
	}
	return nil
}

// matchDDF looks for the anchor header of the SNIA Common RAID Disk Data Format (rev
// 2.0, 5.5) in the last sector, and where some controllers put it, 256 sectors earlier.
func matchDDF(r region) []string {
	for _, off := range []int64{-512, -4096, -257 * 512} {
		if b := r.bytes(off, 4); b != nil && binary.BigEndian.Uint32(b) == 0xde11de11 {
			return []string{"DDF RAID"}
		}
	}
	return nil
}

// matchPromise looks in the sectors from the end that Promise FastTrak uses (dmraid:
// format/ataraid/pdc.h).
func matchPromise(r region) []string {
	for _, sectors := range []int64{63, 255, 256, 16, 399, 591, 675, 735, 911, 974, 991, 951, 3087} {
		if r.at(-sectors*512, "Promise Technology, Inc.") {
			return []string{"Promise RAID"}
		}
	}
	return nil
}
