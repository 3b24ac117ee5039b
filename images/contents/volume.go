package contents

import (
	"bytes"
	"errors"
	"io"
)

// magic is where a file system or a container says what it is. Sources: the headers of
// Linux (include/uapi/linux/magic.h, fs/*), of LUKS, LVM and NTFS.
type magic struct {
	kind   string
	offset int64
	bytes  []byte
}

var magics = []magic{
	{"ext4", 1024 + 56, []byte{0x53, 0xEF}},
	{"xfs", 0, []byte("XFSB")},
	{"btrfs", 64<<10 + 64, []byte("_BHRfS_M")},
	{"f2fs", 1024, []byte{0x10, 0x20, 0xF5, 0xF2}},
	{"squashfs", 0, []byte("hsqs")},
	{"LUKS", 0, []byte("LUKS\xBA\xBE")},
	{"LVM", 512, []byte("LABELONE")},
	{"ntfs", 3, []byte("NTFS    ")},
	{"fat12", 54, []byte("FAT12   ")},
	{"fat16", 54, []byte("FAT16   ")},
	{"fat32", 82, []byte("FAT32   ")},
}

// volumeType names what is in a partition; empty when it is not known.
func volumeType(disk io.ReaderAt, p extent) (string, error) {
	for _, m := range magics {
		if m.offset+int64(len(m.bytes)) > p.length {
			continue
		}
		got := make([]byte, len(m.bytes))
		if _, err := disk.ReadAt(got, p.offset+m.offset); err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if bytes.Equal(got, m.bytes) {
			return m.kind, nil
		}
	}
	return "", nil
}
