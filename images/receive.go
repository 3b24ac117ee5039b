package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	// Progress is told of the bytes of the disk that are here, from one goroutine at a time;
	// nil is allowed.
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
	if image.StoredBytes, err = st.storedBytes(m); err != nil {
		return image, err
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
	name  master.Digest
	bytes int64  // for the progress
	frame []byte // nil when the store has it
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
func (in Incoming) counter(m *master.Manifest) func(bytes int64) {
	if in.Progress == nil {
		return func(int64) {}
	}
	var done, total int64
	seen := map[master.Digest]bool{}
	for _, c := range m.Chunks {
		if !seen[c.Name()] {
			seen[c.Name()] = true
			total += c.Length
		}
	}
	in.Progress(0, total)
	return func(bytes int64) {
		done += bytes
		in.Progress(done, total)
	}
}

// order asks for the chunks, and ends when all have come.
func (st *staging) order(ctx context.Context, m *master.Manifest, in Incoming, arrivals chan<- *arrival) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(in.AtOnce, 1))
	seen := map[master.Digest]bool{}
	for i, c := range m.Chunks {
		if seen[c.Name()] {
			continue
		}
		seen[c.Name()] = true
		a := &arrival{name: c.Name(), bytes: c.Length, done: make(chan struct{})}
		select {
		case arrivals <- a:
		case <-ctx.Done():
			return group.Wait()
		}
		group.Go(func() (err error) {
			if p, ok := st.index.where[c.Name()]; !ok || !st.whole(p, c) {
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

func (st *staging) putInOrder(ctx context.Context, arrivals <-chan *arrival, came func(bytes int64)) error {
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
		if a.frame != nil {
			if err := st.put(a.name, a.frame); err != nil {
				return err
			}
		}
		came(a.bytes)
	}
	return nil
}

func (in Incoming) frame(ctx context.Context, i int, c master.Chunk) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	frame, err := in.Frame(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("chunk %d (%s): %w", i, c.Name(), err)
	}
	if _, err := c.Unpack(frame, c.Room()); err != nil {
		return nil, &DamagedChunkError{i, c, err}
	}
	return frame, nil
}

// DamagedChunkError is a chunk with other bytes than the manifest says. It is an
// inventory.ErrInvalid.
type DamagedChunkError struct {
	Index int
	Chunk master.Chunk
	// Problem is what is wrong with it.
	Problem error
}

func (e *DamagedChunkError) Error() string {
	return fmt.Sprintf("chunk %d (%s) is damaged: %v", e.Index, e.Chunk.Name(), e.Problem)
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
	if image.Digest != want.Digest || image.ContentDigest != want.ContentDigest || image.SizeBytes != want.SizeBytes || !sameTraits(image, want) {
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
