package images

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ingot/images/master"
	"ingot/inventory"
)

// Names of the files and folders of an image.
const (
	manifestName     = "manifest.json"
	imageName        = "image.json"
	filesFolder      = "files"
	testsFolder      = "tests"
	signaturesFolder = "signatures"
)

// Store is a folder of images. It is safe for many goroutines, and several processes and
// servers may share the folder.
type Store struct {
	// Trust, when not nil, is asked before an image is opened, served or derived. It
	// gets the manifest document and the signatures by key, and returns an
	// inventory.ErrDenied for what is not to be used. Set it before the store is used.
	Trust func(document []byte, signatures map[string][]byte) error
	// Shared, when not nil, moves a channel where other servers see it and, with
	// [Store.Follow], here. Set it before the store is used.
	Shared func(ctx context.Context, name string, to inventory.ChannelMove) error

	dir   string
	now   func() time.Time
	quota atomic.Int64

	turn chan struct{} // see lock
	// deriving is entered with a digest.
	deriving turns

	index atomic.Pointer[packIndex] // see frameIndex

	mu      sync.Mutex
	served  []served
	upgrade map[master.Digest]error // images in the old layout, and why they still are
	mended  []string                // see Mended
}

// NewStore opens the store in dir and makes the folders that are missing. Remains
// of imports that were cut short are removed; those of a running process are not. Images
// in the old layout, one data file each, are converted: see upgradeAll. Damaged indexes of
// packs are made anew, a second or so for each GB of the pack: see [Store.Mended].
func NewStore(dir string) (*Store, error) {
	s := &Store{dir: dir, now: time.Now, turn: make(chan struct{}, 1), upgrade: map[master.Digest]error{}}
	for _, sub := range []string{s.blobs(), s.channels(), s.temp(), s.allDerived(), s.packs()} {
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return nil, fmt.Errorf("open image store: %w", err)
		}
	}
	if err := errors.Join(s.locked(context.Background(), func() error { return errors.Join(s.sweep(), s.mendIndexes()) }), s.upgradeAll(context.Background())); err != nil {
		return nil, fmt.Errorf("open image store %s: %w", dir, err)
	}
	return s, nil
}

func (s *Store) blobs() string      { return filepath.Join(s.dir, "blobs", "sha256") }
func (s *Store) channels() string   { return filepath.Join(s.dir, "channels") }
func (s *Store) temp() string       { return filepath.Join(s.dir, "tmp") }
func (s *Store) allDerived() string { return filepath.Join(s.dir, "derived") }

func (s *Store) blob(d master.Digest) string { return filepath.Join(s.blobs(), d.Hex()) }

// parse reads the digest that a call is about.
func parse(doing, digest string) (master.Digest, error) {
	d, err := master.ParseDigest(digest)
	if err != nil {
		return d, fmt.Errorf("%s: %w: %w", doing, err, inventory.ErrInvalid)
	}
	return d, nil
}

// List returns all images, by name and then newest first.
func (s *Store) List(ctx context.Context) ([]inventory.Image, error) {
	entries, err := os.ReadDir(s.blobs())
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	list := []inventory.Image{}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		image, err := readImage(filepath.Join(s.blobs(), e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list images: %w", err)
		}
		list = append(list, image)
	}
	slices.SortFunc(list, func(a, b inventory.Image) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), b.Created.Compare(a.Created), cmp.Compare(a.Digest, b.Digest))
	})
	return list, nil
}

// readImage reads an image's document, and adds what came after it.
func readImage(dir string) (inventory.Image, error) {
	var image inventory.Image
	document, err := os.ReadFile(filepath.Join(dir, imageName))
	if err != nil {
		return image, fmt.Errorf("read image document: %w", err)
	}
	if err := json.Unmarshal(document, &image); err != nil {
		return image, fmt.Errorf("read image document %s: %w", filepath.Join(dir, imageName), err)
	}
	if image.Tests, err = readTests(dir); err != nil {
		return image, err
	}
	image.Signers, err = readSigners(dir)
	return image, err
}

// Get returns the image that a reference means: NAME (its stable channel),
// NAME:CHANNEL, or NAME@sha256:HEX, where at least 12 digits that fit one image
// are enough. It is inventory.ErrNotFound when there is none and
// inventory.ErrInvalid when the digits fit several.
func (s *Store) Get(ctx context.Context, ref string) (inventory.Image, error) {
	parsed, err := inventory.ParseImageRef(ref)
	if err != nil {
		return inventory.Image{}, err
	}
	if parsed.Digest == "" {
		if parsed.Digest, err = s.channelDigest(parsed); err != nil {
			return inventory.Image{}, err
		}
	}
	list, err := s.List(ctx)
	if err != nil {
		return inventory.Image{}, err
	}
	list = slices.DeleteFunc(list, func(i inventory.Image) bool { return i.Name != parsed.Name || !hasPrefix(i.Digest, parsed.Digest) })
	switch len(list) {
	case 0:
		return inventory.Image{}, inventory.NotFound("image", ref)
	case 1:
		return list[0], nil
	}
	return inventory.Image{}, inventory.Invalid("image %q: the digits fit %d images: give more of them", ref, len(list))
}

func hasPrefix(s, prefix string) bool { return len(s) >= len(prefix) && s[:len(prefix)] == prefix }

// FindRecipe returns the newest image of the name that was built from the recipe,
// or inventory.ErrNotFound.
func (s *Store) FindRecipe(ctx context.Context, name string, recipe master.Digest) (inventory.Image, error) {
	list, err := s.List(ctx)
	if err != nil {
		return inventory.Image{}, err
	}
	for _, image := range list {
		if image.Name == name && image.RecipeDigest == recipe.String() {
			return image, nil
		}
	}
	return inventory.Image{}, inventory.NotFound("image of recipe", name)
}

// FindContent returns the newest image of the name whose disk has the same bytes, by its
// [inventory.Image] ContentDigest, or inventory.ErrNotFound.
func (s *Store) FindContent(ctx context.Context, name, contentDigest string) (inventory.Image, error) {
	list, err := s.List(ctx)
	if err != nil {
		return inventory.Image{}, err
	}
	for _, image := range list {
		if image.Name == name && contentDigest != "" && image.ContentDigest == contentDigest {
			return image, nil
		}
	}
	return inventory.Image{}, inventory.NotFound("image with the same content", name)
}

// Delete removes an image, and the chunks that no other has. It is inventory.ErrBusy
// while a channel points to it, and inventory.ErrNotFound when it is not there. Who else
// uses it (machines, clones) the caller knows: see [Store.Plan]. Readers that opened it
// before can read on.
func (s *Store) Delete(ctx context.Context, digest string) error {
	d, err := parse("delete image", digest)
	if err != nil {
		return err
	}
	return s.locked(ctx, func() error {
		channels, err := s.Channels(ctx)
		if err != nil {
			return err
		}
		for _, c := range channels {
			if c.Digest == digest {
				return fmt.Errorf("delete image %s: channel %s:%s points to it: %w", digest, c.Name, c.Channel, inventory.ErrBusy)
			}
		}
		err = s.discardImage(d)
		if errors.Is(err, fs.ErrNotExist) {
			return inventory.NotFound("image", digest)
		}
		if err == nil {
			_, err = s.emptyTrash(ctx)
		}
		if err != nil {
			return fmt.Errorf("delete image %s: %w", digest, err)
		}
		return nil
	})
}
