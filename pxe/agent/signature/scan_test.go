package signature

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sparse is a disk of zeros with pieces written on it; it counts what is read.
type sparse struct {
	sizeBytes int64
	pieces    map[int64][]byte
	readBytes int64
	failAt    int64 // a byte that can't be read; 0 for none
}

func (d *sparse) ReadAt(p []byte, off int64) (int, error) {
	d.readBytes += int64(len(p))
	if d.failAt > 0 && off <= d.failAt && d.failAt < off+int64(len(p)) {
		return 0, errors.New("medium error")
	}
	n := int(min(int64(len(p)), d.sizeBytes-off))
	clear(p)
	for at, data := range d.pieces {
		for i, b := range data {
			if k := at + int64(i) - off; k >= 0 && k < int64(n) {
				p[k] = b
			}
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (d *sparse) put(off int64, data string) {
	if off < 0 {
		off += d.sizeBytes
	}
	if d.pieces == nil {
		d.pieces = map[int64][]byte{}
	}
	d.pieces[off] = []byte(data)
}

const (
	le = "little"
	be = "big"
)

func word32(order string, v uint32) string {
	if order == be {
		return string(binary.BigEndian.AppendUint32(nil, v))
	}
	return string(binary.LittleEndian.AppendUint32(nil, v))
}

// TestFromSpecifications writes by hand what no tool on the test machine makes; places
// and values are the specifications'.
func TestFromSpecifications(t *testing.T) {
	const size = 64<<20 + 7*512 // not a multiple of any label's alignment
	nvlist := "\x01\x01\x00\x00" + strings.Repeat("\x00", 7) + "\x01" + word32(be, 36) + word32(be, 32) + word32(be, 7) + "version\x00" + word32(be, 8) + word32(be, 1) + word32(be, 0) + word32(be, 5000)
	for _, tt := range []struct {
		name string
		off  int64
		data string
		want []string
	}{
		{"md 1.1", 0, word32(le, 0xa92b4efc) + word32(le, 1), []string{"Linux RAID 1.1"}},
		{"md 1.2", 4096, word32(le, 0xa92b4efc) + word32(le, 1), []string{"Linux RAID 1.2"}},
		{"md 1.0", ((size/512 - 16) &^ 7) * 512, word32(le, 0xa92b4efc) + word32(le, 1), []string{"Linux RAID 1.0"}},
		{"md 0.90", 64<<20 - 64<<10, word32(le, 0xa92b4efc) + word32(le, 0), []string{"Linux RAID 0.90"}},
		{"md 0.90 of a big-endian machine", 64<<20 - 64<<10, word32(be, 0xa92b4efc), []string{"Linux RAID 0.90"}},
		{"zfs label 0", 16 << 10, nvlist, []string{"ZFS pool member"}},
		{"zfs label 1", 256<<10 + 16<<10, nvlist, []string{"ZFS pool member"}},
		{"zfs label 2", 64<<20 - 512<<10 + 16<<10, nvlist, []string{"ZFS pool member"}},
		{"zfs label 3", 64<<20 - 256<<10 + 16<<10, nvlist, []string{"ZFS pool member"}},
		{"zfs uberblock", 128 << 10, "\x0c\xb1\xba\x00\x00\x00\x00\x00", []string{"ZFS pool member"}},
		{"zfs uberblock, big endian", 128 << 10, "\x00\x00\x00\x00\x00\xba\xb1\x0c", []string{"ZFS pool member"}},
		{"lvm in the first sector", 0, "LABELONE" + strings.Repeat("\x00", 16) + "LVM2 001", []string{"LVM physical volume"}},
		{"lvm in the fourth sector", 3 * 512, "LABELONE" + strings.Repeat("\x00", 16) + "LVM2 001", []string{"LVM physical volume"}},
		{"ceph", 0, "bluestore block device\n3c1e0e4e-0000-4000-8000-000000000001\n", []string{"Ceph BlueStore"}},
		{"ddf", -512, "\xde\x11\xde\x11", []string{"DDF RAID"}},
		{"ddf before the controller's workspace", -257 * 512, "\xde\x11\xde\x11", []string{"DDF RAID"}},
		{"imsm", -1024, "Intel Raid ISM Cfg Sig. 1.3.00", []string{"Intel Matrix RAID"}},
		{"promise", -63 * 512, "Promise Technology, Inc.", []string{"Promise RAID"}},
		{"lsi", -512, "$XIDE$", []string{"LSI MegaRAID (software)"}},
		{"nvidia", -1024, "NVIDIA  ", []string{"NVIDIA RAID"}},
		{"vmfs", 1 << 20, "\x0d\xd0\x01\xc0", []string{"vmfs"}},
		{"bitlocker", 0, "\xeb\x58\x90-FVE-FS-", []string{"BitLocker"}},
		{"bitlocker to go", 424, bitLockerToGo, []string{"BitLocker"}},
		{"ufs1", 8192 + 1372, word32(le, 0x00011954), []string{"ufs"}},
		{"ufs2", 65536 + 1372, word32(le, 0x19540119), []string{"ufs"}},
		{"ufs2 of sparc", 65536 + 1372, word32(be, 0x19540119), []string{"ufs"}},
		{"apfs", 32, "NXSB", []string{"apfs"}},
		{"hfs plus", 1024, "H+\x00\x04", []string{"hfs+"}},
		{"bcachefs", 4096 + 24, bcachefsUUID, []string{"bcachefs"}},
		{"hibernation image", 4086, "LINHIB0001", []string{"hibernation image"}},
		{"swap of 64 KiB pages", 64<<10 - 10, "SWAPSPACE2", []string{"swap"}},
		{"oracle asm", 32, "ORCLDISK", []string{"Oracle ASM disk"}},
		{"qcow2 written raw", 0, "QFI\xfb\x00\x00\x00\x03", []string{"qcow2 image"}},
		{"ldm", 0xc00, "PRIVHEAD", []string{"Windows dynamic disk"}},
		{"drbd 9", (64 << 20) + 7*512 - 4036, "\x83\x74\x02\x6d", []string{"DRBD 9"}},
		{"one byte in the first MiB", 777_777, "x", []string{Unrecognised}},
		{"one byte after the first MiB", 1<<20 + 5, "x", nil},
		{"boot mark alone", 510, "\x55\xaa", []string{Unrecognised}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			disk := &sparse{sizeBytes: size}
			disk.put(tt.off, tt.data)
			got, err := Scan(disk, size, 512)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("scan (-want +got):\n%s", diff)
			}
			if disk.readBytes > 4<<20 {
				t.Errorf("%d bytes were read", disk.readBytes)
			}
		})
	}
}

// TestMagicsOnPartition puts every fixed text into a partition of a 4096-byte disk.
func TestMagicsOnPartition(t *testing.T) {
	for _, m := range magics {
		t.Run(m.name, func(t *testing.T) {
			disk := &sparse{sizeBytes: 256 << 20}
			const first, last = 256, 16383
			disk.gpt(4096, [2]uint64{first, last})
			start, end := int64(first*4096), int64((last+1)*4096)
			if m.offsetByte < 0 {
				start = end
			}
			disk.put(start+m.offsetByte, m.text)
			got, err := Scan(disk, disk.sizeBytes, 4096)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"GPT partition table", m.name + " on partition 1"}, got); diff != "" {
				t.Errorf("scan (-want +got):\n%s", diff)
			}
		})
	}
}

// gpt writes a protective MBR and a GUID partition table with the given first and last
// sectors.
func (d *sparse) gpt(sectorBytes int, parts ...[2]uint64) {
	entries := make([]byte, 128*128)
	for i, p := range parts {
		e := entries[i*128:]
		copy(e, bytes.Repeat([]byte{byte(i + 1)}, 32))
		binary.LittleEndian.PutUint64(e[32:], p[0])
		binary.LittleEndian.PutUint64(e[40:], p[1])
	}
	h := make([]byte, 92)
	copy(h, "EFI PART\x00\x00\x01\x00\x5c\x00\x00\x00")
	binary.LittleEndian.PutUint64(h[24:], 1)
	binary.LittleEndian.PutUint64(h[72:], 2)
	binary.LittleEndian.PutUint32(h[80:], 128)
	binary.LittleEndian.PutUint32(h[84:], 128)
	binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(entries))
	binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h))
	d.put(446, "\x00\x00\x02\x00\xee\xff\xff\xff\x01\x00\x00\x00\xff\xff\xff\xff")
	d.put(510, "\x55\xaa")
	d.put(int64(sectorBytes), string(h))
	d.put(int64(2*sectorBytes), string(entries[:128*len(parts)]))
}

func TestTables(t *testing.T) {
	ext4 := "\x53\xef" // with the feature words that follow in put below
	for _, tt := range []struct {
		name   string
		sector int
		build  func(d *sparse)
		want   []string
	}{
		{"512-byte table on a 4096-byte disk", 4096, func(d *sparse) { d.gpt(512, [2]uint64{2048, 4095}); d.put(2048*512+8192, "OCFSV2") },
			[]string{"GPT partition table for 512-byte sectors", "ocfs2 on partition 1"}},
		{"damaged header", 512, func(d *sparse) { d.put(512, "EFI PART") }, []string{"GPT partition table (damaged)"}},
		{"protective record alone", 512, func(d *sparse) { d.gpt(512); delete(d.pieces, 512) }, []string{"protective MBR without its GPT"}},
		{"partition beyond the end", 512, func(d *sparse) { d.gpt(512, [2]uint64{2048, 1 << 60}, [2]uint64{1 << 50, 1 << 51}) }, []string{"GPT partition table"}},
		{"partition that runs backwards", 512, func(d *sparse) { d.gpt(512, [2]uint64{4096, 2048}) }, []string{"GPT partition table"}},
		{"logical partitions in a ring", 512, func(d *sparse) {
			d.put(446, "\x00\x00\x00\x00\x0f\x00\x00\x00"+word32(le, 2048)+word32(le, 8192))
			d.put(510, "\x55\xaa")
			d.put(2048*512+446, "\x00\x00\x00\x00\x83\x00\x00\x00"+word32(le, 8)+word32(le, 1024)+"\x00\x00\x00\x00\x05\x00\x00\x00"+word32(le, 0)+word32(le, 8192))
			d.put(2048*512+510, "\x55\xaa")
			d.put(2056*512+1080, ext4)
			d.put(2056*512+1024, word32(le, 99)+word32(le, 99))
			d.put(2056*512+1024+0x60, word32(le, 0x40))
		}, []string{"MBR partition table", "ext4 on partition 5"}},
		{"storage spaces by its type", 512, func(d *sparse) {
			d.gpt(512, [2]uint64{2048, 4095})
			d.pieces[1024] = append([]byte("\x8f\xaf\x5c\xe7\x80\xf6\xee\x4c\xaf\xa3\xb0\x01\xe5\x6e\xfc\x2d"), d.pieces[1024][16:]...)
		}, []string{"GPT partition table", "Storage Spaces on partition 1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			disk := &sparse{sizeBytes: 64 << 20}
			tt.build(disk)
			got, err := Scan(disk, disk.sizeBytes, tt.sector)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("scan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadsAreBounded(t *testing.T) {
	disk := &sparse{sizeBytes: 4 << 30}
	var parts [][2]uint64
	for i := range uint64(128) {
		parts = append(parts, [2]uint64{2048 + i*65536, 2048 + i*65536 + 65535})
	}
	disk.gpt(512, parts...)
	if _, err := Scan(disk, disk.sizeBytes, 512); err != nil {
		t.Fatal(err)
	}
	if disk.readBytes > MaxReadBytes {
		t.Errorf("%d bytes were read, the bound is %d", disk.readBytes, MaxReadBytes)
	}
}

func TestReadErrorIsTold(t *testing.T) {
	disk := &sparse{sizeBytes: 64 << 20, failAt: 65536}
	disk.put(0, "LUKS\xba\xbe\x00\x02")
	found, err := Scan(disk, disk.sizeBytes, 512)
	if err == nil || !strings.Contains(err.Error(), "medium error") {
		t.Errorf("error is %v", err)
	}
	if diff := cmp.Diff([]string{"LUKS2"}, found); diff != "" {
		t.Errorf("found before the error (-want +got):\n%s", diff)
	}
}

func TestSmallDisks(t *testing.T) {
	for _, size := range []int64{0, 1, 511, 512, 4096, 70000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			if got, err := Scan(&sparse{sizeBytes: size}, size, 512); err != nil || got != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// FuzzScan gives hostile bytes at the start and the end of a disk.
func FuzzScan(f *testing.F) {
	seed := &sparse{sizeBytes: 1 << 20}
	seed.gpt(512, [2]uint64{64, 128})
	head := make([]byte, 2048)
	_, _ = seed.ReadAt(head, 0)
	f.Add(head, []byte("Intel Raid ISM Cfg Sig. "), false)
	f.Add([]byte("LUKS\xba\xbe\x00\x02"), []byte{}, true)
	mbr := make([]byte, 2048)
	copy(mbr[446:], "\x00\x00\x00\x00\x05\x00\x00\x00\x01\x00\x00\x00\xff\xff\xff\xff")
	copy(mbr[510:], "\x55\xaa")
	copy(mbr[512:], mbr[:512])
	f.Add(mbr, []byte{}, false)
	f.Fuzz(func(t *testing.T, head, tail []byte, big bool) {
		size := int64(len(head)+len(tail)) + 64<<10
		sector := 512
		if big {
			sector = 4096
		}
		disk := io.NewSectionReader(bytes.NewReader(append(append(bytes.Clone(head), make([]byte, 64<<10)...), tail...)), 0, size)
		if _, err := Scan(disk, size, sector); err != nil {
			t.Fatal(err)
		}
	})
}
