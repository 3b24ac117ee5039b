package images

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"ingot/images/master"
)

// Mended returns what befell damaged indexes of packs since it was last called: a line for
// the log of each.
func (s *Store) Mended() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := s.mended
	s.mended = nil
	return lines
}

// mendIndexes makes the indexes anew that are damaged. One that can't be made (its pack is
// gone, or can't be read) stays. Called under the lock.
func (s *Store) mendIndexes() error {
	paths, err := filepath.Glob(filepath.Join(s.packs(), "*"+packIndexSuffix))
	if err != nil {
		return err
	}
	for _, path := range paths {
		var damaged *damagedIndexError
		if _, err := readIndex(path); !errors.As(err, &damaged) {
			continue
		}
		line := s.mendIndex(path)
		s.mu.Lock()
		s.mended = append(s.mended, fmt.Sprintf("%s was damaged: %s", path, line))
		s.mu.Unlock()
	}
	return nil
}

func (s *Store) mendIndex(path string) string {
	f, err := os.Open(strings.TrimSuffix(path, packIndexSuffix) + packDataSuffix)
	if err != nil {
		return fmt.Sprintf("its pack can't be opened: %v", err)
	}
	defer f.Close()
	var c packContent
	info, err := f.Stat()
	if err == nil {
		c, err = findFrames(f, info.Size(), s.oldNames())
	}
	if err == nil {
		err = replaceIndex(path, c)
	}
	if err != nil {
		return fmt.Sprintf("it can't be made anew: %v", err)
	}
	return fmt.Sprintf("made anew from its pack, where %d frames are whole", len(c.entries))
}

// oldNames are the names of frames that images have from when a frame was named by its own
// bytes. An image whose manifest can't be read has none: it can't be used either.
func (s *Store) oldNames() frames {
	old := frames{}
	paths, err := filepath.Glob(filepath.Join(s.blobs(), "*", manifestName))
	if err != nil {
		return old
	}
	for _, path := range paths {
		if m, err := readManifest(path); err == nil && m.Version == 1 {
			old.add(m)
		}
	}
	return old
}

// findFrames finds the frames of a pack by its data alone. They lie one behind the other,
// and zeros are where some were taken out, or frames that nothing has any more where the
// file system takes nothing out. A frame's name is the SHA-256 of what is in it, or of its
// own bytes where that is an old name, so that what is found wrongly has a name that no
// image asks for. Each one is decoded: what is damaged is passed over, and the search goes
// on behind its first byte. size is about how much there is to read.
func findFrames(r io.Reader, size int64, old frames) (c packContent, err error) {
	in := bufio.NewReaderSize(r, int(min(2*maxFrameBytes, size+nearBytes)))
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(master.MaxChunkBytes))
	if err != nil {
		return c, err
	}
	defer dec.Close()
	var raw []byte
	for at := int64(0); ; {
		near, err := in.Peek(nearBytes)
		if len(near) == 0 {
			if errors.Is(err, io.EOF) {
				return c, nil
			}
			return c, err
		}
		if skip := toMagic(near); skip > 0 {
			at += int64(skip)
			_, _ = in.Discard(skip) // it was peeked at
			continue
		}
		frame, err := peekFrame(in)
		if err != nil {
			return c, err
		}
		if frame != nil {
			if raw, err = dec.DecodeAll(frame, raw[:0]); err != nil {
				frame = nil
			}
		}
		if frame != nil {
			name := master.DigestOf(frame)
			if _, ok := old[name]; !ok {
				name = master.DigestOf(raw)
			}
			c.plain = master.IsRawFrame(frame)
			c.entries = append(c.entries, packEntry{name, at, int64(len(frame))})
		}
		step := max(1, len(frame))
		at += int64(step)
		_, _ = in.Discard(step)
	}
}

// zstdMagic begins each frame (RFC 8878, 3.1.1).
var zstdMagic = []byte{0x28, 0xB5, 0x2F, 0xFD}

// toMagic is how many bytes can be passed over: up to the next magic, or, where there is
// none, up to the last bytes, which may be its beginning.
func toMagic(b []byte) int {
	if i := bytes.Index(b, zstdMagic); i >= 0 {
		return i
	}
	return max(1, len(b)-len(zstdMagic)+1)
}

// maxFrameBytes is what an index lets a frame have; nearBytes is how far the search for
// the next one looks at a time.
const (
	maxFrameBytes = 2 * master.MaxChunkBytes
	nearBytes     = 64 << 10
)

// peekFrame returns the frame that begins here, by its header and those of its blocks (RFC
// 8878, 3.1.1.2), or nil when there is none.
func peekFrame(in *bufio.Reader) ([]byte, error) {
	head, err := peek(in, zstd.HeaderMaxSize)
	if err != nil {
		return nil, err
	}
	var h zstd.Header
	if h.Decode(slices.Clone(head)) != nil || h.Skippable {
		return nil, nil
	}
	const blockHeader, checksum = 3, 4
	for size := h.HeaderSize; ; {
		b, err := peek(in, size+blockHeader)
		if err != nil || len(b) < size+blockHeader {
			return nil, err
		}
		block := uint32(b[size]) | uint32(binary.LittleEndian.Uint16(b[size+1:]))<<8
		last, kind, content := block&1 == 1, block>>1&3, int(block>>3)
		if kind == 1 { // one byte, to be repeated
			content = 1
		}
		size += blockHeader + content
		if last && h.HasCheckSum {
			size += checksum
		}
		if kind == 3 || size > maxFrameBytes {
			return nil, nil
		}
		if last {
			frame, err := peek(in, size)
			if err != nil || len(frame) < size {
				return nil, err
			}
			return frame, nil
		}
	}
}

// peek returns up to n bytes; that there are less is no error.
func peek(in *bufio.Reader, n int) ([]byte, error) {
	b, err := in.Peek(n)
	if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) {
		err = nil
	}
	return b, err
}
