package master

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
)

// DefaultChunkBytes is the largest chunk when WriteOptions names none: chunks are then
// about 100 KiB long, large enough that frames compress well, small enough that a
// change costs little and a damaged one is cheap to fetch.
const DefaultChunkBytes = 1 << 20

// WriteOptions says how a master is made. The zero value is usable but for
// SectorBytes and FirstBoot, which have no safe default.
type WriteOptions struct {
	Traits
	// ChunkBytes is the largest chunk, a multiple of 64 KiB; 0 is DefaultChunkBytes.
	// The others follow from it: the smallest is a thirty-second, the average a tenth.
	ChunkBytes int64
	// MaxBytes is the largest disk; 0 is MaxLogicalBytes.
	MaxBytes int64
	// Level is the zstd level; 0 is level 1: level 3 makes the frames of a Linux system 3 %
	// smaller and takes 1.4 times as long.
	Level int
	// Uncompressed makes frames that hold the bytes as they are.
	Uncompressed bool
	// Workers is how many chunks are compressed at once; 0 is one for each CPU.
	Workers int
	// Have reports whether a chunk's bytes, which hash to sum, are kept already: no frame
	// is made of it then. It is called by all workers at once. It may be nil.
	Have func(sum Digest, rawBytes int64) bool
	// Progress is called as raw bytes are done, from one goroutine. totalBytes is 0 when
	// it is not known. It may be nil.
	Progress func(doneBytes, totalBytes int64)
}

func (o WriteOptions) withDefaults() (WriteOptions, error) {
	if o.ChunkBytes == 0 {
		o.ChunkBytes = DefaultChunkBytes
	}
	if o.ChunkBytes%(64<<10) != 0 || o.ChunkBytes < 0 || o.ChunkBytes > MaxChunkBytes {
		return o, fmt.Errorf("chunk size %d is not a multiple of 64 KiB up to %d", o.ChunkBytes, MaxChunkBytes)
	}
	if o.MaxBytes <= 0 || o.MaxBytes > MaxLogicalBytes {
		o.MaxBytes = MaxLogicalBytes
	}
	if o.Level == 0 {
		o.Level = 1
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	return o, nil
}

// ErrTooLarge is in the error about a disk that is larger than [WriteOptions] allow.
var ErrTooLarge = errors.New("the disk is too large")

// Put keeps the frame of a chunk whose bytes hash to sum. It is called by one goroutine,
// in the order of the disk, and may be called for the same bytes twice; the frame is its
// only until it returns.
type Put func(sum Digest, frame []byte) error

// Write reads a raw disk of sizeBytes and writes the data file to w. It returns
// the manifest. The same disk and traits give the same manifest, however it is compressed,
// whatever the number of workers and wherever the raw file has holes. After an error, what
// was written to w is of no use.
func Write(ctx context.Context, raw io.ReaderAt, sizeBytes int64, w io.Writer, opts WriteOptions) (*Manifest, error) {
	return write(ctx, &diskReader{raw: raw, size: sizeBytes}, &frameWriter{w: w}, nil, opts)
}

// WriteFrames is [Write] that hands out the frames one by one. The rest of the data
// file follows from the manifest: see [NewLayout].
func WriteFrames(ctx context.Context, raw io.ReaderAt, sizeBytes int64, put Put, opts WriteOptions) (*Manifest, error) {
	return write(ctx, &diskReader{raw: raw, size: sizeBytes}, &frameWriter{}, put, opts)
}

// WriteStream is [WriteFrames] for a disk that can only be read in order and whose size
// is known when it ends. A last part of a sector is an error.
func WriteStream(ctx context.Context, raw io.Reader, put Put, opts WriteOptions) (*Manifest, error) {
	return write(ctx, &streamReader{raw: raw}, &frameWriter{}, put, opts)
}

func write(ctx context.Context, disk windowReader, out *frameWriter, put Put, opts WriteOptions) (*Manifest, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("write image: %w", err)
	}
	m := &Manifest{Format: formatName, Version: FormatVersion, LogicalBytes: disk.sizeBytes(), ChunkBytes: opts.ChunkBytes, Traits: opts.Traits, Chunks: []Chunk{}}
	if m.LogicalBytes > opts.MaxBytes {
		return nil, fmt.Errorf("write image: it has %d bytes, more than %d: %w", m.LogicalBytes, opts.MaxBytes, ErrTooLarge)
	}
	if m.LogicalBytes == 0 {
		m.LogicalBytes = 4096 // known at the end
	}
	if err := errorsFirst(m.checkHead(), m.checkTraits()); err != nil {
		return nil, fmt.Errorf("write image: %w", err)
	}
	out.manifest = m
	if err := encode(ctx, disk, out, put, opts); err != nil {
		return nil, fmt.Errorf("write image: %w", err)
	}
	m.LogicalBytes = disk.sizeBytes()
	if err := out.finish(); err != nil {
		return nil, fmt.Errorf("write image: %w", err)
	}
	if opts.Progress != nil {
		opts.Progress(m.LogicalBytes, m.LogicalBytes)
	}
	return m, m.Check()
}

func errorsFirst(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// frameWriter appends frames to the data file and chunks to the manifest.
type frameWriter struct {
	w        io.Writer // nil when the frames are kept elsewhere
	manifest *Manifest
	frames   []Frame
	at       int64 // logical offset reached
}

func (f *frameWriter) write(frame []byte, frameBytes, rawBytes int64) error {
	if f.w != nil {
		if _, err := f.w.Write(frame); err != nil {
			return fmt.Errorf("append to data file: %w", err)
		}
	}
	f.frames = append(f.frames, Frame{uint32(frameBytes), uint32(rawBytes)})
	f.at += rawBytes
	return nil
}

// holeTo writes zeros up to a logical offset.
func (f *frameWriter) holeTo(offset int64) error {
	for f.at < offset {
		n := min(offset-f.at, maxHoleFrame)
		var frame []byte
		if f.w != nil {
			frame = appendHoleFrame(nil, n)
		}
		if err := f.write(frame, holeFrameBytes(n), n); err != nil {
			return err
		}
	}
	return nil
}

func (f *frameWriter) data(p *piece, frame []byte) error {
	if err := f.holeTo(p.offset); err != nil {
		return err
	}
	f.manifest.Chunks = append(f.manifest.Chunks, Chunk{Offset: p.offset, Length: p.length, SHA256: p.sum})
	return f.write(frame, int64(len(frame)), p.length)
}

// finish writes the last hole and the seek table and completes the manifest.
func (f *frameWriter) finish() error {
	if err := f.holeTo(f.manifest.LogicalBytes); err != nil {
		return err
	}
	if f.w != nil {
		if _, err := f.w.Write(appendSeekTable(nil, f.frames)); err != nil {
			return fmt.Errorf("append to data file: %w", err)
		}
	}
	f.manifest.ContentDigest = f.manifest.contentDigest()
	return nil
}
