package agentapi

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
)

// maxSeedBytes bounds an unpacked seed.
const maxSeedBytes = 64 << 20

// PackSeed compresses a seed for the wire: a file system of megabytes that is nearly all
// zeros.
func PackSeed(image []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("pack seed: %w", err)
	}
	if _, err := w.Write(image); err != nil {
		return nil, fmt.Errorf("pack seed: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack seed: %w", err)
	}
	return b.Bytes(), nil
}

// UnpackSeed is the way back; nil stays nil.
func UnpackSeed(packed []byte) ([]byte, error) {
	if len(packed) == 0 {
		return nil, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack seed: %w", err)
	}
	image, err := io.ReadAll(io.LimitReader(r, maxSeedBytes+1))
	if err != nil {
		return nil, fmt.Errorf("unpack seed: %w", err)
	}
	if len(image) > maxSeedBytes {
		return nil, fmt.Errorf("unpack seed: more than %d bytes", maxSeedBytes)
	}
	return image, nil
}
