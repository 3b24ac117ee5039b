package contents

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
)

// node makes a node of an extent tree of entries of 12 bytes.
func node(depth uint16, entries ...[]byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, 0xF30A)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(entries)))
	b = binary.LittleEndian.AppendUint16(b, 4)
	b = binary.LittleEndian.AppendUint16(b, depth)
	return append(append(b, 0, 0, 0, 0), bytes.Join(entries, nil)...)
}

func extentEntry(at uint32, blocks uint16, disk uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, at)
	b = binary.LittleEndian.AppendUint16(b, blocks)
	return binary.LittleEndian.AppendUint32(append(b, 0, 0), disk)
}

func childEntry(at, disk uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, at)
	return append(binary.LittleEndian.AppendUint32(b, disk), 0, 0, 0, 0)
}

const fakeBlock = 1024

func read(root, disk []byte, size int64) (*ext4Files, *ext4File, error) {
	x := &ext4Files{disk: bytes.NewReader(disk), blockBytes: fakeBlock}
	f := &ext4File{disk: x.disk, size: size}
	t := extentTree{files: x, file: f}
	if len(root) < 12 {
		return x, f, errExtents
	}
	return x, f, t.node(root, min(le16(root[6:]), maxExtentDepth))
}

// TestExtents: what Linux would not take is refused.
func TestExtents(t *testing.T) {
	pad := func(b []byte) []byte { return append(b, make([]byte, fakeBlock-len(b))...) }
	leaf := pad(node(0, extentEntry(1, 1, 0)))
	for name, tt := range map[string]struct {
		root []byte
		ok   bool
	}{
		"two extents":            {node(0, extentEntry(0, 1, 0), extentEntry(1, 1, 0)), true},
		"a leaf below":           {node(1, childEntry(0, 0)), true},
		"nothing":                {node(0), true},
		"an extent of length 0":  {node(0, extentEntry(0, 0, 0)), false},
		"extents over another":   {node(0, extentEntry(0, 2, 0), extentEntry(1, 1, 0)), false},
		"the same, not written":  {node(0, extentEntry(0, unwritten+2, 0), extentEntry(1, unwritten+1, 0)), false},
		"a leaf twice":           {node(1, childEntry(0, 0), childEntry(0, 0)), false},
		"a leaf two levels down": {node(2, childEntry(0, 0)), false},
		"too deep":               {node(6, childEntry(0, 0)), false},
		"more than there are":    {append(node(0)[:2], 9, 0, 4, 0, 0, 0, 0, 0, 0, 0), false},
		"no magic":               {make([]byte, 12), false},
		"behind the disk's end":  {node(1, childEntry(0, 9)), false},
	} {
		if _, _, err := read(tt.root, leaf, 10); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzExtents: any bytes are a file of just its size, or an error, at a bounded price.
func FuzzExtents(f *testing.F) {
	f.Add(node(0, extentEntry(1, 1, 0)), []byte("content"), uint32(5000))
	f.Add(node(1, childEntry(0, 1)), append(make([]byte, fakeBlock), append(node(0, extentEntry(0, 1, 0), extentEntry(2, unwritten+1, 0)), make([]byte, fakeBlock)...)...), uint32(100))
	f.Add(node(1, childEntry(0, 0)), append(node(1, childEntry(0, 0)), make([]byte, fakeBlock)...), uint32(1))
	f.Fuzz(func(t *testing.T, root, disk []byte, size uint32) {
		size %= 1 << 20
		x, file, err := read(root, disk, int64(size))
		if x.nodes > maxExtentNodes+1 || len(file.runs) > maxExtents {
			t.Fatalf("%d nodes, %d extents", x.nodes, len(file.runs))
		}
		if err != nil {
			return
		}
		if n, err := io.Copy(io.Discard, file); err == nil && n != int64(size) {
			t.Errorf("%d bytes, want %d", n, size)
		}
	})
}
