package contents

import "ingot/inventory"

// Limits of an extent tree: Linux makes none deeper, and the other two are for the hostile.
const (
	maxExtentDepth = 5
	maxExtentNodes = 1 << 16
	maxExtents     = 1 << 22
)

// extentTree reads the extents of a file (Linux, fs/ext4/ext4_extents.h).
type extentTree struct {
	files *ext4Files
	file  *ext4File
	nodes int
}

// node reads a node of at most that depth, and those below it: a header of 12 bytes, and
// entries of 12.
func (t *extentTree) node(b []byte, maxDepth uint16) error {
	entries, depth := int(le16(b[2:])), le16(b[6:])
	if t.nodes++; le16(b) != 0xF30A || depth > maxDepth || 12*(entries+1) > len(b) || t.nodes > maxExtentNodes {
		return inventory.Invalid("the ext4 file system has a damaged extent tree")
	}
	for i := range entries {
		e := b[12*(i+1):]
		var err error
		if depth == 0 {
			err = t.extent(e)
		} else {
			err = t.child(e, depth)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *extentTree) child(e []byte, depth uint16) error {
	b := make([]byte, t.files.blockBytes)
	if err := readFull(t.files.disk, b, (int64(le32(e[4:]))|int64(le16(e[8:]))<<32)*t.files.blockBytes); err != nil {
		return err
	}
	return t.node(b, depth-1)
}

// unwritten is added to the length of an extent that has its place and no content yet.
const unwritten = 1 << 15

func (t *extentTree) extent(e []byte) error {
	f, blockBytes := t.file, t.files.blockBytes
	blocks := int64(le16(e[4:]))
	if blocks > unwritten {
		return nil
	}
	r := fileRun{int64(le32(e)) * blockBytes, blocks * blockBytes, (int64(le32(e[8:])) | int64(le16(e[6:]))<<32) * blockBytes}
	if n := len(f.runs); n > 0 && r.at < f.runs[n-1].at+f.runs[n-1].length || n >= maxExtents {
		return inventory.Invalid("the ext4 file system has a file whose extents are not in order")
	}
	f.runs = append(f.runs, r)
	return nil
}
