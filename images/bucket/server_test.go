package bucket_test

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ingot/images"
	"ingot/images/bucket"
	"ingot/images/bucket/buckettest"
	"ingot/images/master"
	"ingot/inventory"
)

const bucketName = "racks"

func startGateway(t *testing.T) *buckettest.Gateway {
	t.Helper()
	g, err := buckettest.Start(t.Context(), t.TempDir(), bucketName)
	if errors.Is(err, buckettest.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", buckettest.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", buckettest.SecretKey)
	return g
}

func options(g *buckettest.Gateway) bucket.Options {
	return bucket.Options{Endpoint: g.URL, Bucket: bucketName, Prefix: "one", Region: "us-east-1", PathStyle: true}
}

// server is a store with its share.
type server struct {
	*bucket.Share
	store *images.Store
	dir   string
	// uses are its machines; ahead moves its clock.
	uses  []images.Use
	ahead atomic.Int64
	keep  images.Retention
	// followed are the channels that others moved.
	followed []string
}

func newServer(t *testing.T, g *buckettest.Gateway, name string) *server {
	t.Helper()
	return openServer(t, g, name, t.TempDir())
}

func openServer(t *testing.T, g *buckettest.Gateway, name, dir string) *server {
	t.Helper()
	s := &server{dir: dir, keep: images.Retention{KeepPerChannel: 1, Grace: time.Hour}}
	var err error
	if s.store, err = images.NewStore(dir); err != nil {
		t.Fatal(err)
	}
	if s.Share, err = bucket.Open(options(g)); err != nil {
		t.Fatal(err)
	}
	s.Store, s.Server, s.Name, s.Interval, s.Forget = s.store, "id-"+name, name, time.Minute, 24*time.Hour
	s.Retention = s.keep
	s.Decide = func(ctx context.Context) ([]images.Decision, error) {
		return s.store.Decide(ctx, s.uses, s.keep)
	}
	s.Now = func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }
	s.Followed = func(_ context.Context, name string, to inventory.ChannelMove) {
		s.followed = append(s.followed, name+":"+to.Channel+" "+to.Why)
	}
	s.store.Shared = s.Move
	return s
}

// disk writes a raw disk of blocks that don't compress; version changes one of them.
func disk(t *testing.T, seed, version byte) string {
	t.Helper()
	const block = 1 << 20
	data := make([]byte, 8*block)
	for i := range 8 {
		from := rand.NewChaCha8([32]byte{seed, byte(i)})
		if i == 5 {
			from = rand.NewChaCha8([32]byte{seed, byte(i), version})
		}
		if _, err := from.Read(data[i*block : (i+1)*block]); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *server) add(t *testing.T, path, version string) inventory.Image {
	t.Helper()
	image, err := s.store.Import(t.Context(), path, images.ImportOptions{Name: "web", Version: version, Format: images.FormatRaw,
		Traits: master.Traits{SectorBytes: 512, FirstBoot: master.FirstBootNone}, Files: map[string][]byte{"recipe.yaml": []byte("name: web\n")}})
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func (s *server) point(t *testing.T, channel string, image inventory.Image) {
	t.Helper()
	if _, err := s.store.MoveChannel(t.Context(), "web", channel, image.Digest, "test"); err != nil {
		t.Fatal(err)
	}
}

func (s *server) look(t *testing.T) {
	t.Helper()
	if err := s.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// channel is where a channel of the store points.
func (s *server) channel(t *testing.T, channel string) string {
	t.Helper()
	image, err := s.store.Get(t.Context(), "web:"+channel)
	if errors.Is(err, inventory.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return image.Digest
}

// disk is the image as a raw disk.
func (s *server) disk(t *testing.T, digest string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out.raw")
	if err := s.store.Export(t.Context(), digest, images.FormatRaw, path, images.ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	return read(t, path)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// objects are the objects below a folder of the bucket, with their sizes.
func objects(t *testing.T, g *buckettest.Gateway, under string) map[string]int64 {
	t.Helper()
	root := filepath.Join(g.Dir, bucketName, "one")
	all := map[string]int64{}
	err := filepath.WalkDir(filepath.Join(root, under), func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			all[strings.TrimPrefix(path, root+"/")] = info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func total(objects map[string]int64) (sum int64) {
	for _, size := range objects {
		sum += size
	}
	return sum
}
