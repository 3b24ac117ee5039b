package master

import "encoding/binary"

// rawFrame is a zstd frame under way that holds its bytes as they are: a single segment
// with its size, raw blocks, no checksum (RFC 8878, 3.1.1).
type rawFrame struct {
	bytes []byte
	left  int64 // of the content
	block int64 // what is left of the block
}

// rawDescriptor is of a frame with a 4-byte content size, single segment, no checksum.
const rawDescriptor = 0x80 | 0x20

// newRawFrame appends to dst the frame of size bytes, size above 0.
func newRawFrame(dst []byte, size int64) *rawFrame {
	dst = binary.LittleEndian.AppendUint32(dst, frameMagic)
	dst = append(dst, rawDescriptor)
	return &rawFrame{bytes: binary.LittleEndian.AppendUint32(dst, uint32(size)), left: size}
}

// add appends content.
func (f *rawFrame) add(content []byte) {
	for len(content) > 0 {
		if f.block == 0 {
			f.begin()
		}
		n := min(int64(len(content)), f.block)
		f.bytes, content = append(f.bytes, content[:n]...), content[n:]
		f.block -= n
		f.left -= n
	}
}

// begin begins a block.
func (f *rawFrame) begin() {
	f.block = min(f.left, maxBlockBytes)
	header := uint32(f.block) << 3
	if f.block == f.left {
		header |= 1
	}
	f.bytes = append(f.bytes, byte(header), byte(header>>8), byte(header>>16))
}

// IsRawFrame reports whether a frame is one that holds its bytes as they are, as
// [WriteOptions.Uncompressed] makes it.
func IsRawFrame(frame []byte) bool {
	const blockType = 3 << 1
	return len(frame) > 12 && frame[4] == rawDescriptor && frame[9]&blockType == 0
}

// rawFrameBytes is how many bytes of the disk such a frame says it holds.
func rawFrameBytes(frame []byte) int64 { return int64(binary.LittleEndian.Uint32(frame[5:])) }
