package contents

import "ingot/inventory"

// Limits of extent trees: Linux makes none deeper; the nodes below inodes of a whole file
// system, and the extents of a file, are for the hostile.
const (
	maxExtentDepth = 5
	maxExtentNodes = 1 << 18
	maxExtents     = 1 << 22
)

// extentTree reads the extents of a file (Linux, fs/ext4/ext4_extents.h). Checksums are not
// looked at.
type extentTree struct {
	files *ext4Files
	file  *ext4File
	end   int64 // of what was seen so far
}

var errExtents = inventory.Invalid("the ext4 file system has a damaged extent tree")

// node reads a node of that depth, and those below it: a header of 12 bytes, and entries
// of 12.
func (t *extentTree) node(b []byte, depth uint16) error {
	entries := int(le16(b[2:]))
	if le16(b) != 0xF30A || le16(b[6:]) != depth || 12*(entries+1) > len(b) {
		return errExtents
	}
	for i := range entries {
		e := b[12*(i+1):]
		var err error
		if depth == 0 {
			err = t.extent(e)
		} else {
			err = t.child(e, depth-1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *extentTree) child(e []byte, depth uint16) error {
	x := t.files
	if x.nodes++; x.nodes > maxExtentNodes {
		return errExtents
	}
	if x.buffers[depth] == nil {
		x.buffers[depth] = make([]byte, x.blockBytes)
	}
	if err := readFull(x.disk, x.buffers[depth], (int64(le32(e[4:]))|int64(le16(e[8:]))<<32)*x.blockBytes); err != nil {
		return err
	}
	return t.node(x.buffers[depth], depth)
}

// unwritten is added to the length of an extent that has its place and no content yet.
const unwritten = 1 << 15

func (t *extentTree) extent(e []byte) error {
	blockBytes := t.files.blockBytes
	blocks := int64(le16(e[4:]))
	written := blocks <= unwritten
	if !written {
		blocks -= unwritten
	}
	r := fileRun{int64(le32(e)) * blockBytes, blocks * blockBytes, (int64(le32(e[8:])) | int64(le16(e[6:]))<<32) * blockBytes}
	if blocks == 0 || r.at < t.end || len(t.file.runs) >= maxExtents {
		return errExtents
	}
	if t.end = r.at + r.length; written {
		t.file.runs = append(t.file.runs, r)
	}
	return nil
}
