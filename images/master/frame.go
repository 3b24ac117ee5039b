package master

import "encoding/binary"

// Numbers of the zstd frame format (RFC 8878) and of its seekable layout
// (zstd contrib/seekable_format, zstd_seekable_compression_format.md).
const (
	frameMagic      = 0xFD2FB528 // RFC 8878 section 3.1.1
	skippableMagic  = 0x184D2A5E // section 3.1.2; the seekable layout uses this one of the sixteen
	seekTableMagic  = 0x8F92EAB1
	seekFooterBytes = 9
	seekEntryBytes  = 8
	skipHeaderBytes = 8
	maxBlockBytes   = 128 << 10
	maxHoleFrame    = 1 << 30
	blockTypeRLE    = 1
)

// Frame is one entry of a seek table: sizes in bytes, as stored and as read.
type Frame struct{ CompressedBytes, RawBytes uint32 }

// appendHoleFrame appends a zstd frame of n zeros, n at most maxHoleFrame: a
// 128 KiB window, then one run-length block for each 128 KiB.
func appendHoleFrame(dst []byte, n int64) []byte {
	const descriptor, window128K = 0x80, 7 << 3 // 4-byte content size, not single segment
	dst = binary.LittleEndian.AppendUint32(dst, frameMagic)
	dst = append(dst, descriptor, window128K)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	for n > 0 {
		block := min(n, maxBlockBytes)
		n -= block
		header := uint32(block)<<3 | blockTypeRLE<<1
		if n == 0 {
			header |= 1
		}
		dst = append(dst, byte(header), byte(header>>8), byte(header>>16), 0)
	}
	return dst
}

// holeFrameBytes is how long appendHoleFrame's frame of n zeros is.
func holeFrameBytes(n int64) int64 {
	return 10 + 4*((n+maxBlockBytes-1)/maxBlockBytes)
}

// appendSeekTable appends the skippable frame that ends a seekable file.
func appendSeekTable(dst []byte, frames []Frame) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, skippableMagic)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(frames)*seekEntryBytes+seekFooterBytes))
	for _, f := range frames {
		dst = binary.LittleEndian.AppendUint32(dst, f.CompressedBytes)
		dst = binary.LittleEndian.AppendUint32(dst, f.RawBytes)
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(frames)))
	dst = append(dst, 0)
	return binary.LittleEndian.AppendUint32(dst, seekTableMagic)
}
