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
	"time"

	"ingot/images/master"
	"ingot/inventory"
)

// Names of the files of an image.
const (
	manifestName = "manifest.json"
	dataName     = "data"
	imageName    = "image.json"
)

// Store is a folder of images. It is safe for many goroutines; one process at a
// time moves channels.
type Store struct {
	dir string
	now func() time.Time

	mu sync.Mutex // serialises what renames: publish, delete, channel moves
	// deriving is entered with digest and format.
	deriving turns
}

// NewStore opens the store in dir and makes the folders that are missing. Remains
// of imports that were cut short are removed; those of a running process are not.
func NewStore(dir string) (*Store, error) {
	s := &Store{dir: dir, now: time.Now}
	for _, sub := range []string{s.blobs(), s.channels(), s.temp(), filepath.Join(s.dir, "derived")} {
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return nil, fmt.Errorf("open image store: %w", err)
		}
	}
	if err := s.sweep(); err != nil {
		return nil, fmt.Errorf("open image store %s: %w", dir, err)
	}
	return s, nil
}

func (s *Store) blobs() string    { return filepath.Join(s.dir, "blobs", "sha256") }
func (s *Store) channels() string { return filepath.Join(s.dir, "channels") }
func (s *Store) temp() string     { return filepath.Join(s.dir, "tmp") }

func (s *Store) blob(d master.Digest) string { return filepath.Join(s.blobs(), d.Hex()) }

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

func readImage(dir string) (inventory.Image, error) {
	var image inventory.Image
	document, err := os.ReadFile(filepath.Join(dir, imageName))
	if err != nil {
		return image, fmt.Errorf("read image document: %w", err)
	}
	if err := json.Unmarshal(document, &image); err != nil {
		return image, fmt.Errorf("read image document %s: %w", filepath.Join(dir, imageName), err)
	}
	return image, nil
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

// Delete removes an image. It is inventory.ErrBusy while a channel points to it,
// and inventory.ErrNotFound when it is not there. Who else uses it (machines,
// clones) the caller knows. Readers that opened it before can read on.
func (s *Store) Delete(ctx context.Context, digest string) error {
	d, err := master.ParseDigest(digest)
	if err != nil {
		return fmt.Errorf("delete image: %w: %w", err, inventory.ErrInvalid)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	channels, err := s.Channels(ctx)
	if err != nil {
		return err
	}
	for _, c := range channels {
		if c.Digest == digest {
			return fmt.Errorf("delete image %s: channel %s:%s points to it: %w", digest, c.Name, c.Channel, inventory.ErrBusy)
		}
	}
	trash, err := os.MkdirTemp(s.temp(), "delete-")
	if err != nil {
		return fmt.Errorf("delete image %s: %w", digest, err)
	}
	err = os.Rename(s.blob(d), filepath.Join(trash, "image"))
	if errors.Is(err, fs.ErrNotExist) {
		return errors.Join(inventory.NotFound("image", digest), os.Remove(trash))
	}
	if err == nil {
		err = syncDir(s.blobs())
	}
	for format := range convertOptions {
		err = errors.Join(err, os.RemoveAll(s.derived(digest, format)))
	}
	if err := errors.Join(err, os.RemoveAll(trash)); err != nil {
		return fmt.Errorf("delete image %s: %w", digest, err)
	}
	return nil
}
