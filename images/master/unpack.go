package master

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// strict and hasty unpack frames, any number at once. Where a frame has a checksum (XXH64,
// RFC 8878, 3.1.1) strict compares it too: a store keeps no frame that other programs could
// not read. Who only wants the bytes, whose SHA-256 is compared, is hasty.
var (
	strict = sync.OnceValues(func() (*zstd.Decoder, error) { return newDecoder() })
	hasty  = sync.OnceValues(func() (*zstd.Decoder, error) { return newDecoder(zstd.IgnoreChecksum(true)) })
)

func newDecoder(more ...zstd.DOption) (*zstd.Decoder, error) {
	return zstd.NewReader(nil, append(more, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true))...)
}

// slackBytes is how much room behind a chunk lets the decoder copy in long steps
// (klauspost/compress/zstd wants 32 bytes). Its content is lost.
const slackBytes = 64

// Room returns a buffer for the bytes of the chunk.
func (c Chunk) Room() []byte { return make([]byte, c.Length, c.Length+slackBytes) }

// Unpack unpacks a chunk's frame into room, which holds c.Length bytes at least, and
// compares the bytes with the manifest's hash: it returns them, or none. Nothing is
// allocated for what a hostile frame claims to hold. See [Chunk.Room].
func (c Chunk) Unpack(frame, room []byte) ([]byte, error) {
	dec, err := strict()
	if err != nil {
		return nil, err
	}
	return c.unpack(dec, frame, room)
}

func (c Chunk) unpack(dec *zstd.Decoder, frame, room []byte) ([]byte, error) {
	raw, err := dec.DecodeAll(frame, room[:0:min(int64(cap(room)), c.Length+slackBytes)])
	switch {
	case err != nil:
		return nil, fmt.Errorf("it is no zstd frame of %d bytes: %w", c.Length, err)
	case int64(len(raw)) != c.Length:
		return nil, fmt.Errorf("it unpacks to %d bytes, want %d", len(raw), c.Length)
	case DigestOf(raw) != c.SHA256:
		return nil, fmt.Errorf("its bytes have another SHA-256 than the manifest says")
	}
	return raw, nil
}
