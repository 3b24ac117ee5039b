package images

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// inflater unpacks compressed clusters, one at a time.
type inflater struct {
	packed, raw []byte
	deflate     io.ReadCloser
	zstd        *zstd.Decoder
}

var inflaters = sync.Pool{New: func() any { return &inflater{deflate: flate.NewReader(bytes.NewReader(nil))} }}

// readCompressed reads a part of a compressed cluster.
func (q *qcow2) readCompressed(p []byte, e uint64, inside int64) error {
	at, length := q.compressedAt(e)
	z := inflaters.Get().(*inflater)
	defer inflaters.Put(z)
	// The last sector is not always whole in the file.
	z.packed = grow(z.packed, min(length, q.fileBytes-at))
	if _, err := q.file.ReadAt(z.packed, at); err != nil {
		return q.damaged("compressed data", at)
	}
	whole := p
	if inside != 0 || int64(len(p)) != q.cluster() {
		z.raw = grow(z.raw, q.cluster())
		whole = z.raw
	}
	if err := z.unpack(whole, q.zstd); err != nil {
		return q.damaged("compressed data that does not unpack", at)
	}
	if &whole[0] != &p[0] {
		copy(p, whole[inside:])
	}
	return nil
}

func grow(b []byte, n int64) []byte {
	if int64(cap(b)) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// unpack fills raw. What follows in the packed bytes is the next cluster's.
func (z *inflater) unpack(raw []byte, isZstd bool) error {
	packed := bytes.NewReader(z.packed)
	if !isZstd {
		if err := z.deflate.(flate.Resetter).Reset(packed, nil); err != nil {
			return err
		}
		_, err := io.ReadFull(z.deflate, raw)
		return err
	}
	if z.zstd == nil {
		dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindowBytes))
		if err != nil {
			return err
		}
		z.zstd = dec
	}
	if err := z.zstd.Reset(packed); err != nil {
		return err
	}
	_, err := io.ReadFull(z.zstd, raw)
	return err
}
