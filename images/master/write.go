package master

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// DefaultChunkBytes is the chunk size when WriteOptions names none: large enough
// that frames compress well, small enough that a damaged one is cheap to fetch.
const DefaultChunkBytes = 1 << 20

// WriteOptions says how a master is made. The zero value is usable but for
// SectorBytes and FirstBoot, which have no safe default.
type WriteOptions struct {
	Traits
	// ChunkBytes is the largest chunk, a multiple of 64 KiB; 0 is DefaultChunkBytes.
	ChunkBytes int64
	// Level is the zstd level; 0 is level 3.
	Level int
	// Workers is how many chunks are compressed at once; 0 is one for each CPU.
	Workers int
	// Progress is called as raw bytes are done, from one goroutine. It may be nil.
	Progress func(doneBytes, totalBytes int64)
}

func (o WriteOptions) withDefaults() (WriteOptions, error) {
	if o.ChunkBytes == 0 {
		o.ChunkBytes = DefaultChunkBytes
	}
	if o.ChunkBytes%(64<<10) != 0 || o.ChunkBytes < 0 || o.ChunkBytes > MaxChunkBytes {
		return o, fmt.Errorf("chunk size %d is not a multiple of 64 KiB up to %d", o.ChunkBytes, MaxChunkBytes)
	}
	if o.Level == 0 {
		o.Level = 3
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	return o, nil
}

// Write reads a raw disk of sizeBytes and writes the data file to w. It returns
// the manifest. The same disk and options give the same bytes, whatever the
// number of workers and wherever the raw file has holes. After an error, what
// was written to w is of no use.
func Write(ctx context.Context, raw io.ReaderAt, sizeBytes int64, w io.Writer, opts WriteOptions) (*Manifest, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("write image: %w", err)
	}
	m := &Manifest{Format: formatName, Version: FormatVersion, LogicalBytes: sizeBytes, ChunkBytes: opts.ChunkBytes, Traits: opts.Traits, Chunks: []Chunk{}}
	m.DataBytes = 1 // known at the end
	if err := errorsFirst(m.checkHead(), m.checkTraits()); err != nil {
		return nil, fmt.Errorf("write image: %w", err)
	}
	out := &frameWriter{w: w, manifest: m}
	if err := encode(ctx, raw, out, opts); err != nil {
		return nil, fmt.Errorf("write image: %w", err)
	}
	if err := out.finish(); err != nil {
		return nil, fmt.Errorf("write image: %w", err)
	}
	if opts.Progress != nil {
		opts.Progress(sizeBytes, sizeBytes)
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

// piece is one compressed run of data, placed on the logical disk.
type piece struct {
	offset, length int64
	frame          []byte
	frameSum, sum  Digest
}

// window is one aligned stretch of the raw disk, at most a chunk long, and later
// its pieces.
type window struct {
	offset, length int64
	pieces         chan []piece
}

// encode reads and compresses windows on all workers and writes them in order.
// Windows under way are bounded by the order channel.
func encode(ctx context.Context, raw io.ReaderAt, out *frameWriter, opts WriteOptions) error {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(opts.Level)),
		zstd.WithEncoderConcurrency(opts.Workers), zstd.WithSingleSegment(true), zstd.WithEncoderCRC(true))
	if err != nil {
		return fmt.Errorf("zstd encoder: %w", err)
	}
	defer enc.Close()
	group, ctx := errgroup.WithContext(ctx)
	work := make(chan *window)
	order := make(chan *window, 2*opts.Workers)
	group.Go(func() error { return windows(ctx, raw, out.manifest.LogicalBytes, opts.ChunkBytes, work, order) })
	for range opts.Workers {
		group.Go(func() error {
			buf := make([]byte, opts.ChunkBytes)
			for win := range work {
				pieces, err := compress(enc, raw, win, buf)
				if err != nil {
					return err
				}
				win.pieces <- pieces
			}
			return nil
		})
	}
	group.Go(func() error { return drain(ctx, order, out, opts.Progress) })
	return group.Wait()
}

// windows cuts the disk into windows, leaving out those a hole covers whole.
func windows(ctx context.Context, raw io.ReaderAt, sizeBytes, chunkBytes int64, work, order chan<- *window) error {
	defer close(work)
	defer close(order)
	for at := int64(0); at < sizeBytes; {
		data, err := nextData(raw, at, sizeBytes)
		if err != nil {
			return err
		}
		if at = data / chunkBytes * chunkBytes; data >= sizeBytes {
			return nil
		}
		win := &window{at, min(chunkBytes, sizeBytes-at), make(chan []piece, 1)}
		for _, to := range []chan<- *window{order, work} {
			select {
			case to <- win:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		at += win.length
	}
	return nil
}

func compress(enc *zstd.Encoder, raw io.ReaderAt, win *window, buf []byte) ([]piece, error) {
	buf = buf[:win.length]
	if n, err := raw.ReadAt(buf, win.offset); n < len(buf) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read raw disk at %d: %w", win.offset, err)
	}
	var pieces []piece
	for _, r := range dataRuns(buf) {
		data := buf[r.start:r.end]
		frame := enc.EncodeAll(data, nil)
		pieces = append(pieces, piece{win.offset + int64(r.start), int64(len(data)), frame, DigestOf(frame), DigestOf(data)})
	}
	return pieces, nil
}

func drain(ctx context.Context, order <-chan *window, out *frameWriter, progress func(done, total int64)) error {
	for win := range order {
		select {
		case pieces := <-win.pieces:
			for _, p := range pieces {
				if err := out.data(p); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		if progress != nil {
			progress(win.offset+win.length, out.manifest.LogicalBytes)
		}
	}
	return nil
}

// frameWriter appends frames to the data file and chunks to the manifest.
type frameWriter struct {
	w        io.Writer
	manifest *Manifest
	frames   []Frame
	at       int64 // logical offset reached
	fileAt   int64
}

func (f *frameWriter) write(frame []byte, rawBytes int64) error {
	if _, err := f.w.Write(frame); err != nil {
		return fmt.Errorf("append to data file: %w", err)
	}
	f.frames = append(f.frames, Frame{uint32(len(frame)), uint32(rawBytes)})
	f.fileAt += int64(len(frame))
	f.at += rawBytes
	return nil
}

// holeTo writes zeros up to a logical offset.
func (f *frameWriter) holeTo(offset int64) error {
	for f.at < offset {
		n := min(offset-f.at, maxHoleFrame)
		if err := f.write(appendHoleFrame(nil, n), n); err != nil {
			return err
		}
	}
	return nil
}

func (f *frameWriter) data(p piece) error {
	if err := f.holeTo(p.offset); err != nil {
		return err
	}
	f.manifest.Chunks = append(f.manifest.Chunks, Chunk{p.offset, p.length, f.fileAt, int64(len(p.frame)), p.frameSum, p.sum})
	return f.write(p.frame, p.length)
}

// finish writes the last hole and the seek table and completes the manifest.
func (f *frameWriter) finish() error {
	if err := f.holeTo(f.manifest.LogicalBytes); err != nil {
		return err
	}
	table := appendSeekTable(nil, f.frames)
	if _, err := f.w.Write(table); err != nil {
		return fmt.Errorf("append to data file: %w", err)
	}
	f.manifest.DataBytes = f.fileAt + int64(len(table))
	f.manifest.ContentDigest = f.manifest.contentDigest()
	return nil
}
