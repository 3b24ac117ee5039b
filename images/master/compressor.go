package master

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Compressor makes frames of frames that hold their bytes as they are. It is safe for many
// goroutines. Close it after use.
type Compressor struct{ enc *zstd.Encoder }

// NewCompressor returns one of a zstd level; 0 is [Write]'s default.
func NewCompressor(level int) (*Compressor, error) {
	opts, err := WriteOptions{Level: level}.withDefaults()
	if err != nil {
		return nil, err
	}
	enc, err := newEncoder(opts)
	return &Compressor{enc}, err
}

func newEncoder(opts WriteOptions) (*zstd.Encoder, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(opts.Level)),
		zstd.WithEncoderConcurrency(opts.Workers), zstd.WithSingleSegment(true), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, fmt.Errorf("zstd encoder: %w", err)
	}
	return enc, nil
}

// Compress returns another frame with the bytes of this one, which hash to sum. It errors
// when they don't, or it is none of [WriteOptions.Uncompressed].
func (c *Compressor) Compress(sum Digest, frame []byte) ([]byte, error) {
	if !IsRawFrame(frame) || rawFrameBytes(frame) > MaxChunkBytes {
		return nil, fmt.Errorf("compress chunk %s: it is compressed already, or damaged", sum)
	}
	chunk := Chunk{Length: rawFrameBytes(frame), SHA256: sum}
	raw, err := chunk.Unpack(frame, chunk.Room())
	if err != nil {
		return nil, fmt.Errorf("compress chunk %s: %w", sum, err)
	}
	return c.enc.EncodeAll(raw, nil), nil
}

// Close frees what it holds.
func (c *Compressor) Close() error { return c.enc.Close() }
