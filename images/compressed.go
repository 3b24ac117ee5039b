package images

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"ingot/inventory"
)

// compression is what a disk file is wrapped in.
type compression string

const (
	compressGzip  compression = "gzip"
	compressXZ    compression = "xz"
	compressBzip2 compression = "bzip2"
	compressZstd  compression = "zstd"
)

// compressionOf tells it from a file's first bytes; "" for none. A disk with a boot
// sector is not compressed, whatever its code begins with.
func compressionOf(head []byte) compression {
	switch {
	case len(head) >= 512 && head[510] == 0x55 && head[511] == 0xAA && !bytes.HasPrefix(head, []byte{0x28, 0xB5, 0x2F, 0xFD}):
		return ""
	case bytes.HasPrefix(head, []byte{0x1F, 0x8B, 8}):
		return compressGzip
	case bytes.HasPrefix(head, []byte("\xFD7zXZ\x00")):
		return compressXZ
	case bytes.HasPrefix(head, []byte("BZh")):
		return compressBzip2
	case bytes.HasPrefix(head, []byte{0x28, 0xB5, 0x2F, 0xFD}):
		return compressZstd
	}
	return ""
}

// maxWindowBytes bounds the memory that a compressed file may ask for.
const maxWindowBytes = 128 << 20

// unpacker reads what is in a compressed file. Its errors are inventory.ErrInvalid when
// the file is damaged or cut short.
type unpacker struct {
	*bufio.Reader
	close func()
}

// Close implements io.Closer.
func (u *unpacker) Close() error {
	if u.close != nil {
		u.close()
	}
	return nil
}

func newUnpacker(ctx context.Context, f io.Reader, wrap compression) (*unpacker, error) {
	u := &unpacker{}
	file := &contextReader{ctx: ctx, r: bufio.NewReaderSize(f, 256<<10)}
	var inner io.Reader
	var err error
	switch wrap {
	case compressGzip:
		inner, err = gzip.NewReader(file)
	case compressXZ:
		inner, err = xz.ReaderConfig{DictCap: maxWindowBytes}.NewReader(file)
	case compressBzip2:
		inner = bzip2.NewReader(file)
	case compressZstd:
		var dec *zstd.Decoder
		if dec, err = zstd.NewReader(file, zstd.WithDecoderMaxWindow(maxWindowBytes)); err == nil {
			inner, u.close = dec, dec.Close
		}
	}
	reader := &damageReader{r: inner, wrap: wrap}
	if err != nil {
		return nil, reader.explain(err)
	}
	u.Reader = bufio.NewReaderSize(reader, headBytes)
	return u, nil
}

// peek returns the first bytes, at most n, and takes nothing away.
func (u *unpacker) peek(n int) ([]byte, error) {
	head, err := u.Peek(n)
	if err == io.EOF {
		err = nil
	}
	return head, err
}

// unpackTo writes all to a file, leaving blocks of zeros as holes.
func (u *unpacker) unpackTo(out *os.File, limit int64) error {
	buf := make([]byte, 256<<10)
	zeros := make([]byte, len(buf))
	for at := int64(0); ; {
		n, err := io.ReadFull(u, buf)
		if at+int64(n) > limit {
			return tooLarge(at+int64(n), limit)
		}
		if !bytes.Equal(buf[:n], zeros[:n]) {
			if _, err := out.WriteAt(buf[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
			return out.Truncate(at) // a cut in the file itself is inventory.ErrInvalid
		}
		if err != nil {
			return err
		}
	}
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// damageReader puts the errors of decompressors into words.
type damageReader struct {
	r    io.Reader
	wrap compression
	at   int64
}

func (r *damageReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.at += int64(n)
	return n, r.explain(err)
}

func (r *damageReader) explain(err error) error {
	var path *fs.PathError
	if err == nil || err == io.EOF || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &path) {
		return err
	}
	return inventory.Invalid("the %s file is damaged or cut short after %d bytes of what is in it: %v", r.wrap, r.at, err)
}

// claimedBytes is how much a file says is in it, and false when it says nothing. It is a
// hint: a file that lies is found when it is unpacked.
func claimedBytes(f io.ReaderAt, sizeBytes int64, wrap compression) (int64, bool) {
	switch wrap {
	case compressZstd:
		var header zstd.Header
		head := make([]byte, zstd.HeaderMaxSize)
		n, _ := f.ReadAt(head, 0)
		if header.Decode(head[:n]) != nil || !header.HasFCS || header.FrameContentSize > 1<<62 {
			return 0, false
		}
		return int64(header.FrameContentSize), true
	case compressXZ:
		return xzBytes(f, sizeBytes)
	}
	return 0, false
}

// maxIndexBytes bounds the index of an xz file that is looked at.
const maxIndexBytes = 16 << 20

// xzBytes adds up the index at the end of an xz file (The .xz File Format 1.1.0, sections
// 2.1.2 and 4).
func xzBytes(f io.ReaderAt, sizeBytes int64) (int64, bool) {
	var footer [12]byte
	if sizeBytes < 32 {
		return 0, false
	}
	if _, err := f.ReadAt(footer[:], sizeBytes-12); err != nil || string(footer[10:]) != "YZ" {
		return 0, false
	}
	length := (int64(binary.LittleEndian.Uint32(footer[4:])) + 1) * 4
	if length > maxIndexBytes || length > sizeBytes-24 {
		return 0, false
	}
	index := make([]byte, length)
	if _, err := f.ReadAt(index, sizeBytes-12-length); err != nil || index[0] != 0 {
		return 0, false
	}
	r := bytes.NewReader(index[1:])
	count, err := binary.ReadUvarint(r)
	var sum uint64
	for range min(count, uint64(length)) {
		_, err1 := binary.ReadUvarint(r)
		n, err2 := binary.ReadUvarint(r)
		if err1 != nil || err2 != nil || n > 1<<62 {
			return 0, false
		}
		sum = min(sum+n, 1<<62)
	}
	return int64(sum), err == nil
}
