package contents

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/diskfs/go-diskfs/filesystem/ext4"

	"ingot/inventory"
)

// ext4Files reads regular files of an ext4 file system by their inode numbers (Linux,
// Documentation/filesystems/ext4). go-diskfs 1.9.4 finds them, but reads what lies before
// an extent where a file has a hole, and panics where a read begins inside of a block
// behind the first extent.
type ext4Files struct {
	disk                              io.ReaderAt
	blockBytes, descBytes, inodeBytes int64
	inodesPerGroup                    uint32
	// nodes is how many nodes of extent trees were read, buffers the room for one of each depth.
	nodes   int
	buffers [maxExtentDepth][]byte
}

// Bits of the superblock's s_feature_incompat and of an inode's i_flags.
const (
	ext4MetaGroups = 0x10
	ext4Wide       = 0x80
	ext4HasExtents = 0x80000
)

func newExt4Files(disk io.ReaderAt) (*ext4Files, error) {
	var b [1024]byte
	if err := readFull(disk, b[:], 1024); err != nil {
		return nil, err
	}
	features := le32(b[0x60:])
	logBlock := le32(b[0x18:])
	if le16(b[0x38:]) != 0xEF53 || logBlock > 6 {
		return nil, inventory.Invalid("the ext4 file system has a damaged superblock")
	}
	if features&ext4MetaGroups != 0 {
		return nil, inventory.Invalid("the ext4 file system has meta block groups (meta_bg), which are not read here")
	}
	x := &ext4Files{disk: disk, blockBytes: 1024 << logBlock, descBytes: 32, inodeBytes: int64(le16(b[0x58:])), inodesPerGroup: le32(b[0x28:])}
	if features&ext4Wide != 0 {
		x.descBytes = int64(le16(b[0xFE:]))
	}
	if x.inodesPerGroup == 0 || x.inodeBytes < 128 || x.descBytes < 32 {
		return nil, inventory.Invalid("the ext4 file system can't be read: inodes of %d bytes, %d in a group", x.inodeBytes, x.inodesPerGroup)
	}
	return x, nil
}

func (x *ext4Files) openEntry(e Entry) (io.Reader, error) {
	info, ok := e.Info.Sys().(*ext4.StatT)
	if !ok {
		return nil, inventory.Invalid("/%s of the image has no inode", e.Path)
	}
	f, err := x.open(info.Ino)
	if err == nil && f.size != e.Info.Size() {
		err = inventory.Invalid("/%s of the image has %d bytes or %d", e.Path, e.Info.Size(), f.size)
	}
	return f, err
}

// open returns the content of the regular file that an inode number stands for.
func (x *ext4Files) open(number uint32) (*ext4File, error) {
	inode, err := x.inode(number)
	if err != nil {
		return nil, err
	}
	if le32(inode[0x20:])&ext4HasExtents == 0 {
		return nil, inventory.Invalid("inode %d of the ext4 file system has no extents: such files are not read here", number)
	}
	f := &ext4File{disk: x.disk, size: int64(le32(inode[4:])) | int64(le32(inode[0x6C:])&0x7FFFFFFF)<<32}
	tree := extentTree{files: x, file: f}
	root := inode[0x28 : 0x28+60]
	return f, tree.node(root, min(le16(root[6:]), maxExtentDepth))
}

func (x *ext4Files) inode(number uint32) ([]byte, error) {
	if number == 0 {
		return nil, inventory.Invalid("the ext4 file system has a name without an inode")
	}
	group, index := int64((number-1)/x.inodesPerGroup), int64((number-1)%x.inodesPerGroup)
	desc, first := make([]byte, x.descBytes), max(2048, x.blockBytes) // the block behind the superblock's
	if err := readFull(x.disk, desc, first+group*x.descBytes); err != nil {
		return nil, err
	}
	table := int64(le32(desc[8:]))
	if x.descBytes >= 64 {
		table |= int64(le32(desc[0x28:])&0xFFFF) << 32 // a block number has 48 bits
	}
	inode := make([]byte, 128)
	return inode, readFull(x.disk, inode, table*x.blockBytes+index*x.inodeBytes)
}

// ext4File is the content of a file, from its beginning.
type ext4File struct {
	disk     io.ReaderAt
	runs     []fileRun // in order, without those that are over
	at, size int64
}

// fileRun is a stretch of a file that lies together on the disk, in bytes.
type fileRun struct{ at, length, disk int64 }

// Read implements io.Reader. What no run has reads as zeros.
func (f *ext4File) Read(p []byte) (int, error) {
	if f.at >= f.size {
		return 0, io.EOF
	}
	for len(f.runs) > 0 && f.runs[0].at+f.runs[0].length <= f.at {
		f.runs = f.runs[1:]
	}
	p = p[:min(int64(len(p)), f.size-f.at)]
	switch {
	case len(f.runs) == 0:
		clear(p)
	case f.at < f.runs[0].at:
		p = p[:min(int64(len(p)), f.runs[0].at-f.at)]
		clear(p)
	default:
		r := f.runs[0]
		p = p[:min(int64(len(p)), r.at+r.length-f.at)]
		if err := readFull(f.disk, p, r.disk+f.at-r.at); err != nil {
			return 0, err
		}
	}
	f.at += int64(len(p))
	return len(p), nil
}

// readFull reads all of p. What lies behind the end of the disk is inventory.ErrInvalid.
func readFull(disk io.ReaderAt, p []byte, at int64) error {
	n, err := disk.ReadAt(p, at)
	switch {
	case n == len(p):
		return nil
	case errors.Is(err, io.EOF):
		return inventory.Invalid("the ext4 file system points to byte %d, behind its end", at)
	}
	return fmt.Errorf("read byte %d of the ext4 file system: %w", at, err)
}

func le16(b []byte) uint16 { return binary.LittleEndian.Uint16(b) }
func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
