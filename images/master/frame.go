package master

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Numbers of the zstd frame format (RFC 8878) and of its seekable layout
// (zstd contrib/seekable_format, zstd_seekable_compression_format.md).
const (
	frameMagic       = 0xFD2FB528 // RFC 8878 section 3.1.1
	skippableMagic   = 0x184D2A5E // section 3.1.2; the seekable layout uses this one of the sixteen
	seekTableMagic   = 0x8F92EAB1
	seekFooterBytes  = 9
	seekEntryBytes   = 8
	skipHeaderBytes  = 8
	maxSeekFrames    = 1 << 27
	maxBlockBytes    = 128 << 10
	maxHoleFrame     = 1 << 30
	blockTypeRLE     = 1
	checksumFlag     = 1 << 7
	reservedSeekBits = 0x7c
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

// ReadSeekTable reads the seek table at the end of a seekable zstd file of
// sizeBytes. It errors when the file is cut short, is not seekable, or when the
// frames don't fill it exactly.
func ReadSeekTable(r io.ReaderAt, sizeBytes int64) ([]Frame, error) {
	count, entryBytes, err := readSeekFooter(r, sizeBytes)
	if err != nil {
		return nil, err
	}
	tableBytes := count*entryBytes + seekFooterBytes
	start := sizeBytes - tableBytes - skipHeaderBytes
	if start < 0 {
		return nil, fmt.Errorf("read seek table: %d frames don't fit a file of %d bytes", count, sizeBytes)
	}
	table := make([]byte, skipHeaderBytes+tableBytes)
	if _, err := r.ReadAt(table, start); err != nil {
		return nil, fmt.Errorf("read seek table: %w", err)
	}
	if binary.LittleEndian.Uint32(table) != skippableMagic || int64(binary.LittleEndian.Uint32(table[4:])) != tableBytes {
		return nil, fmt.Errorf("read seek table: no skippable frame of %d bytes at offset %d", tableBytes, start)
	}
	frames := make([]Frame, count)
	var sum int64
	for i := range frames {
		entry := table[skipHeaderBytes+int64(i)*entryBytes:]
		frames[i] = Frame{binary.LittleEndian.Uint32(entry), binary.LittleEndian.Uint32(entry[4:])}
		sum += int64(frames[i].CompressedBytes)
	}
	if sum != start {
		return nil, fmt.Errorf("read seek table: the frames take %d bytes, the table starts at %d", sum, start)
	}
	return frames, nil
}

func readSeekFooter(r io.ReaderAt, sizeBytes int64) (count, entryBytes int64, err error) {
	if sizeBytes < skipHeaderBytes+seekFooterBytes {
		return 0, 0, fmt.Errorf("read seek table: a file of %d bytes has none: it was cut short", sizeBytes)
	}
	var footer [seekFooterBytes]byte
	if _, err := r.ReadAt(footer[:], sizeBytes-seekFooterBytes); err != nil {
		return 0, 0, fmt.Errorf("read seek table: %w", err)
	}
	if binary.LittleEndian.Uint32(footer[5:]) != seekTableMagic {
		return 0, 0, fmt.Errorf("read seek table: no seek table at the end of the file: it was cut short or is not seekable zstd")
	}
	count, entryBytes = int64(binary.LittleEndian.Uint32(footer[:])), seekEntryBytes
	if footer[4]&checksumFlag != 0 {
		entryBytes += 4
	}
	if footer[4]&reservedSeekBits != 0 || count > maxSeekFrames {
		return 0, 0, fmt.Errorf("read seek table: descriptor %#x with %d frames is not valid", footer[4], count)
	}
	return count, entryBytes, nil
}

// CheckData compares the seek table at the end of a data file with the manifest:
// each chunk must be one frame, at its place, of its size. It finds a file that
// was cut short or belongs to another image without reading the frames.
func (m *Manifest) CheckData(data io.ReaderAt, sizeBytes int64) error {
	if sizeBytes != m.DataBytes {
		return fmt.Errorf("check image data: the file has %d bytes, the manifest says %d", sizeBytes, m.DataBytes)
	}
	frames, err := ReadSeekTable(data, sizeBytes)
	if err != nil {
		return fmt.Errorf("check image data: %w", err)
	}
	var fileAt, at int64
	next := 0
	for _, f := range frames {
		if next < len(m.Chunks) && m.Chunks[next].FileOffset == fileAt {
			c := m.Chunks[next]
			if c.Offset != at || c.Length != int64(f.RawBytes) || c.FileLength != int64(f.CompressedBytes) {
				return fmt.Errorf("check image data: the frame at %d is not chunk %d of the manifest", fileAt, next)
			}
			next++
		}
		fileAt += int64(f.CompressedBytes)
		at += int64(f.RawBytes)
	}
	if next != len(m.Chunks) || at != m.LogicalBytes {
		return fmt.Errorf("check image data: the file has %d of %d chunks and %d of %d raw bytes", next, len(m.Chunks), at, m.LogicalBytes)
	}
	return nil
}
