package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"ingot/images/master"
	"ingot/inventory"
)

// Incoming is an image that another store has.
type Incoming struct {
	// Manifest is the master's manifest and Image the image's document (image.json).
	Manifest, Image []byte
	// Frame brings a chunk that this store lacks. Receive checks its hash.
	Frame func(ctx context.Context, c master.Chunk) ([]byte, error)
	// AtOnce is how many chunks are asked for at a time.
	AtOnce int
	// Progress is told of the bytes that are here, from one goroutine at a time; nil is
	// allowed.
	Progress func(done, total int64)
}

// Receive stores an image that another store has, with the digest it must have. Chunks
// that are here and whole are not asked for. It is inventory.ErrInvalid when anything of
// it is damaged, inventory.ErrConflict when the quota is used up or the image is here
// under another name; the image is not here then. Chunks that came are kept, unless there
// is no room, for the next try or until a collection.
func (s *Store) Receive(ctx context.Context, digest string, in Incoming) (image inventory.Image, err error) {
	d, err := parse("receive image", digest)
	if err != nil {
		return image, err
	}
	m, err := master.ParseManifestDigest(in.Manifest, d)
	if err != nil {
		return image, inventory.Invalid("receive image %s: %s: %v", digest, manifestName, err)
	}
	if image, err = parseIncoming(in.Image, m, d); err != nil {
		return image, fmt.Errorf("receive image %s: %w", digest, err)
	}
	err = s.guard(ctx, func(ctx context.Context) error {
		image, err = s.receive(ctx, m, image, in)
		return err
	})
	if errors.Is(err, unix.ENOSPC) {
		return image, fmt.Errorf("receive image %s@%s: the disk that holds %s is full; nothing was kept: free some space: %w", image.Name, digest, s.dir, err)
	}
	if err != nil {
		return image, fmt.Errorf("receive image %s@%s: %w", image.Name, digest, err)
	}
	return image, nil
}

func (s *Store) receive(ctx context.Context, m *master.Manifest, image inventory.Image, in Incoming) (_ inventory.Image, err error) {
	room, err := s.newRoom(ctx)
	if err != nil {
		return image, err
	}
	st, err := s.newStaging(ctx, room)
	if err != nil {
		return image, err
	}
	defer func() { err = errors.Join(err, st.discard()) }()
	if err := st.receiveFrames(ctx, m, in); err != nil {
		if errors.Is(err, inventory.ErrConflict) || errors.Is(context.Cause(ctx), unix.ENOSPC) || errors.Is(err, unix.ENOSPC) {
			return image, err
		}
		return image, errors.Join(err, st.keepForNextTry())
	}
	return s.publish(ctx, st, image, in.Manifest, ImportOptions{})
}

// keepForNextTry keeps the chunks that came, although the image is not whole.
func (st *staging) keepForNextTry() error {
	if err := st.sync(); err != nil {
		return err
	}
	return st.store.locked(context.Background(), st.keepPack)
}

// arrival is a chunk on its way.
type arrival struct {
	sum   master.Digest
	frame []byte
	done  chan struct{}
}

// receiveFrames brings each chunk once, several at a time, and puts them down in the
// order of the disk.
func (st *staging) receiveFrames(ctx context.Context, m *master.Manifest, in Incoming) error {
	group, ctx := errgroup.WithContext(ctx)
	arrivals := make(chan *arrival, max(in.AtOnce, 1))
	group.Go(func() error { return st.putInOrder(ctx, arrivals, in.counter(m)) })
	group.Go(func() error {
		defer close(arrivals)
		return st.order(ctx, m, in, arrivals)
	})
	return group.Wait()
}

// counter is to be told of each chunk that came.
func (in Incoming) counter(m *master.Manifest) func(bytes int) {
	if in.Progress == nil {
		return func(int) {}
	}
	var done, total int64
	seen := map[master.Digest]bool{}
	for _, c := range m.Chunks {
		if !seen[c.FrameSHA256] {
			seen[c.FrameSHA256] = true
			total += c.FileLength
		}
	}
	in.Progress(0, total)
	return func(bytes int) {
		done += int64(bytes)
		in.Progress(done, total)
	}
}

// order asks for the chunks, and ends when all have come.
func (st *staging) order(ctx context.Context, m *master.Manifest, in Incoming, arrivals chan<- *arrival) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(in.AtOnce, 1))
	seen := map[master.Digest]bool{}
	for i, c := range m.Chunks {
		if seen[c.FrameSHA256] {
			continue
		}
		seen[c.FrameSHA256] = true
		a := &arrival{sum: c.FrameSHA256, done: make(chan struct{})}
		select {
		case arrivals <- a:
		case <-ctx.Done():
			return group.Wait()
		}
		group.Go(func() (err error) {
			if a.frame, err = st.local(c); err == nil && a.frame == nil {
				a.frame, err = in.frame(ctx, i, c)
			}
			if err == nil {
				close(a.done)
			}
			return err
		})
	}
	return group.Wait()
}

func (st *staging) putInOrder(ctx context.Context, arrivals <-chan *arrival, came func(bytes int)) error {
	for a := range arrivals {
		select {
		case <-a.done:
		case <-ctx.Done():
		}
		select {
		case <-a.done: // kept for the next try, though another one failed
		default:
			return ctx.Err()
		}
		if err := st.put(a.sum, a.frame); err != nil {
			return err
		}
		came(len(a.frame))
	}
	return nil
}

// local is the store's own chunk, nil when it is not there or damaged.
func (st *staging) local(c master.Chunk) ([]byte, error) {
	p, ok := st.index.where[c.FrameSHA256]
	if !ok {
		return nil, nil
	}
	frame, err := st.store.readPlace(p)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, io.EOF) || err == nil && master.DigestOf(frame) != c.FrameSHA256 {
		return nil, nil
	}
	return frame, err
}

func (in Incoming) frame(ctx context.Context, i int, c master.Chunk) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	frame, err := in.Frame(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("chunk %d (%s): %w", i, c.FrameSHA256, err)
	}
	if master.DigestOf(frame) != c.FrameSHA256 {
		return nil, &DamagedChunkError{Index: i, Chunk: c}
	}
	return frame, nil
}

// DamagedChunkError is a chunk whose bytes have another hash than its name says. It is
// an inventory.ErrInvalid.
type DamagedChunkError struct {
	Index int
	Chunk master.Chunk
}

func (e *DamagedChunkError) Error() string {
	return fmt.Sprintf("chunk %d (%s) is damaged: its bytes have another SHA-256", e.Index, e.Chunk.FrameSHA256)
}

// Unwrap returns the class.
func (e *DamagedChunkError) Unwrap() error { return inventory.ErrInvalid }

// parseIncoming reads an image's document and compares it with the manifest.
func parseIncoming(document []byte, m *master.Manifest, d master.Digest) (inventory.Image, error) {
	var image inventory.Image
	if err := json.Unmarshal(document, &image); err != nil {
		return image, inventory.Invalid("%s: %v", imageName, err)
	}
	image.Tests, image.Signers = nil, nil
	if err := inventory.CheckImageName(image.Name); err != nil {
		return image, err
	}
	want := describe(m, d, ImportOptions{}, image.Created)
	if image.ContentDigest == "" {
		image.ContentDigest = want.ContentDigest
	}
	if image.Digest != want.Digest || image.ContentDigest != want.ContentDigest || image.SizeBytes != want.SizeBytes || image.StoredBytes != want.StoredBytes || !sameTraits(image, want) {
		return image, inventory.Invalid("%s says something else than the manifest", imageName)
	}
	return image, nil
}

// Folder is the folder of an image's documents: manifest.json, image.json, files, tests,
// signatures. It is inventory.ErrNotFound when the image is not there.
func (s *Store) Folder(digest string) (fs.FS, error) {
	dir, err := s.inImage("open folder of image", digest)
	if err != nil {
		return nil, err
	}
	return os.DirFS(dir), nil
}
