package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

func TestTwoServers(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a"), newServer(t, g, "b")
	one := disk(t, 1, 1)
	first := a.add(t, one, "1")
	a.point(t, "stable", first)
	before := total(objects(t, g, "chunks"))

	b.look(t)
	if got := b.channel(t, "stable"); got != first.Digest {
		t.Fatalf("channel at b: %q, want %s", got, first.Digest)
	}
	if got := b.disk(t, first.Digest); string(got) != string(read(t, one)) {
		t.Error("the disk at b has other bytes")
	}
	if d := cmp.Diff([]string{"web:stable test"}, b.followed); d != "" {
		t.Errorf("followed at b (-want +got):\n%s", d)
	}

	// A second version costs what changed, on the line and in the bucket.
	second := b.add(t, disk(t, 1, 2), "2")
	b.point(t, "stable", second)
	if grew := total(objects(t, g, "chunks")) - before; grew < 1<<20 || grew > 4<<20 {
		t.Errorf("the second version costs %d bytes of %d, want its difference", grew, before)
	}
	pulled := a.Stats.PulledBytes.Load()
	a.look(t)
	if got := a.channel(t, "stable"); got != second.Digest {
		t.Errorf("channel at a: %q, want %s", got, second.Digest)
	}
	if got := a.Stats.PulledBytes.Load() - pulled; got > 4<<20 {
		t.Errorf("a fetched %d bytes, want the difference", got)
	}

	// What is added later goes both ways, and the history is one.
	test := inventory.ImageTest{ID: "boot-1", Mode: "bios", Passed: true, Started: time.Now().UTC().Truncate(time.Second)}
	console := filepath.Join(t.TempDir(), "console.log")
	if err := os.WriteFile(console, []byte("login:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.store.AddTest(t.Context(), second.Digest, test, map[string]string{"console.log": console}),
		a.store.PutSignature(t.Context(), second.Digest, "KEY", []byte("signature"))); err != nil {
		t.Fatal(err)
	}
	b.look(t)
	a.look(t)
	b.look(t)
	ours, err := a.store.Get(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := b.store.Get(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(theirs, ours); d != "" || len(ours.Tests) != 1 || len(ours.Signers) != 1 {
		t.Errorf("the image at b and a (-b +a):\n%s\n%+v", d, ours)
	}
	left, err := a.store.History(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	right, err := b.store.History(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(left, right); d != "" || len(left) != 2 {
		t.Errorf("history at a and b (-a +b):\n%s\n%+v", d, left)
	}
}

// TestRun: what others did is seen when the interval is over, and when somebody wakes it.
func TestRun(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a"), newServer(t, g, "b")
	ticks, looked := make(chan time.Time), make(chan struct{})
	b.After = func(d time.Duration) <-chan time.Time {
		if d != b.Interval {
			t.Errorf("waits %s, want %s", d, b.Interval)
		}
		looked <- struct{}{}
		return ticks
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	<-looked
	for i, again := range []func(){func() { ticks <- time.Now() }, b.Wake} {
		image := a.add(t, disk(t, 1, byte(i)), fmt.Sprint(i))
		a.point(t, "stable", image)
		again()
		<-looked
		if got := b.channel(t, "stable"); got != image.Digest {
			t.Errorf("channel at b: %q, want %s", got, image.Digest)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestNothingTwice: what is there is not put again, by whoever.
func TestNothingTwice(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a"), newServer(t, g, "b")
	a.point(t, "stable", a.add(t, disk(t, 1, 1), "1"))
	a.look(t)
	b.look(t)
	puts := count(g, func(r *http.Request) bool { return r.Method == http.MethodPut })
	a.look(t)
	b.look(t)
	if n := puts.Load(); n != 0 {
		t.Errorf("%d objects were put by a look at what is the same", n)
	}
}

func count(g *buckettest.Gateway, which func(*http.Request) bool) *atomic.Int64 {
	n := new(atomic.Int64)
	g.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if which(r) {
			n.Add(1)
		}
		return false
	})
	return n
}

// TestMoveAtOnce: of two that move a channel at once one gets a conflict, and nobody's
// move is lost.
func TestMoveAtOnce(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a"), newServer(t, g, "b")
	base := a.add(t, disk(t, 1, 1), "1")
	a.point(t, "stable", base)
	b.look(t)
	images := map[*server]inventory.Image{a: a.add(t, disk(t, 1, 2), "2"), b: b.add(t, disk(t, 1, 3), "3")}

	// Both have read the channel before either writes it.
	var reads atomic.Int64
	both := make(chan struct{})
	g.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/channels/") {
			if reads.Add(1) == 2 {
				close(both)
			}
			<-both
		}
		return false
	})
	type outcome struct {
		s   *server
		err error
	}
	done := make(chan outcome)
	for s, image := range images {
		go func() {
			_, err := s.store.MoveChannel(t.Context(), "web", "stable", image.Digest, "race")
			done <- outcome{s, err}
		}()
	}
	var won, lost *server
	for range 2 {
		switch o := <-done; {
		case o.err == nil:
			won = o.s
		case errors.Is(o.err, inventory.ErrConflict) && strings.Contains(o.err.Error(), "moved web:stable to sha256:"):
			lost = o.s
		default:
			t.Errorf("move: %v", o.err)
		}
	}
	if won == nil || lost == nil {
		t.Fatalf("won: %v, lost: %v", won, lost)
	}
	if got := lost.channel(t, "stable"); got != base.Digest {
		t.Errorf("who lost has %s, want %s until it looks", got, base.Digest)
	}
	// Having seen it, it may.
	lost.look(t)
	if got := lost.channel(t, "stable"); got != images[won].Digest {
		t.Errorf("who lost follows to %s, want %s", got, images[won].Digest)
	}
	lost.point(t, "stable", images[lost])
	won.look(t)
	if got := won.channel(t, "stable"); got != images[lost].Digest {
		t.Errorf("who won follows to %s, want %s", got, images[lost].Digest)
	}
}

// TestOtherChannels: moves of different channels of a name don't disturb each other.
func TestOtherChannels(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a"), newServer(t, g, "b")
	base := a.add(t, disk(t, 1, 1), "1")
	a.point(t, "stable", base)
	b.look(t)
	done := make(chan error)
	for s, channels := range map[*server][]string{a: {"c1", "c2", "c3"}, b: {"d1", "d2", "d3"}} {
		go func() {
			var errs []error
			for _, c := range channels {
				_, err := s.store.MoveChannel(t.Context(), "web", c, base.Digest, "race")
				errs = append(errs, err)
			}
			done <- errors.Join(errs...)
		}()
	}
	if err := errors.Join(<-done, <-done); err != nil {
		t.Fatal(err)
	}
	a.look(t)
	b.look(t)
	for _, s := range []*server{a, b} {
		all, err := s.store.Channels(t.Context())
		if err != nil || len(all) != 7 {
			t.Errorf("channels: %v, %v, want 7", all, err)
		}
	}
}

// TestDamagedChunk: a flipped byte in the bucket is found and said, nothing is kept of it,
// and a server that has the chunk mends it.
func TestDamagedChunk(t *testing.T) {
	g := startGateway(t)
	a, b := newServer(t, g, "a"), newServer(t, g, "b")
	image := a.add(t, disk(t, 1, 1), "1")
	a.point(t, "stable", image)
	for key := range objects(t, g, "chunks") {
		path := filepath.Join(g.Dir, bucketName, "one", key)
		data := read(t, path)
		data[len(data)/2] ^= 1
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		break
	}
	err := b.Look(t.Context())
	if !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), "is damaged") || !strings.Contains(err.Error(), "channel web:stable stays at nothing") {
		t.Errorf("look at a damaged chunk: %v", err)
	}
	if list, err := b.store.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("b has %v, %v", list, err)
	}
	a.look(t)
	b.look(t)
	if got := b.channel(t, "stable"); got != image.Digest {
		t.Errorf("after it was mended the channel at b is %q", got)
	}
	if left := objects(t, g, "damaged"); len(left) != 0 {
		t.Errorf("still damaged: %v", left)
	}
}

// TestFaults: what goes wrong is said with what to do; a channel stays, and all is well
// when the fault is gone.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(w http.ResponseWriter, r *http.Request) bool
		class error
		say   string
	}{
		"gone": {func(w http.ResponseWriter, _ *http.Request) bool { buckettest.Cut(w); return true }, bucket.ErrUnreachable, "can't be reached"},
		"busy": {func(w http.ResponseWriter, _ *http.Request) bool { buckettest.Fail(w, 503, "SlowDown"); return true }, bucket.ErrUnreachable, "503 SlowDown"},
		"denied": {func(w http.ResponseWriter, _ *http.Request) bool {
			buckettest.Fail(w, 403, "AccessDenied")
			return true
		}, inventory.ErrDenied, "get, put and delete"},
		"full": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/chunks/") {
				return false
			}
			buckettest.Fail(w, 507, "XMinioStorageFull")
			return true
		}, inventory.ErrConflict, "disks are full"},
		"quota": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/chunks/") {
				return false
			}
			buckettest.Fail(w, 403, "QuotaExceeded")
			return true
		}, inventory.ErrConflict, "the bucket is full: remove images (ingot image gc)"},
	} {
		t.Run(name, func(t *testing.T) {
			g := startGateway(t)
			a, b := newServer(t, g, "a"), newServer(t, g, "b")
			first := a.add(t, disk(t, 1, 1), "1")
			a.point(t, "stable", first)
			second := a.add(t, disk(t, 1, 2), "2")
			g.Intercept(c.fault)
			_, err := a.store.MoveChannel(t.Context(), "web", "stable", second.Digest, "test")
			if !errors.Is(err, c.class) || !strings.Contains(fmt.Sprint(err), c.say) {
				t.Errorf("move: %v, want %q", err, c.say)
			}
			if strings.Contains(fmt.Sprint(err), buckettest.AccessKey) || strings.Contains(fmt.Sprint(err), buckettest.SecretKey) {
				t.Errorf("the error tells a key: %v", err)
			}
			if got := a.channel(t, "stable"); got != first.Digest {
				t.Errorf("the channel moved here alone: %s", got)
			}
			g.Intercept(nil)
			a.point(t, "stable", second)
			b.look(t)
			if got := b.channel(t, "stable"); got != second.Digest {
				t.Errorf("channel at b: %q, want %s", got, second.Digest)
			}
		})
	}
}

// TestAnswerLost: a move whose answer is lost has happened, and is no conflict.
func TestAnswerLost(t *testing.T) {
	g := startGateway(t)
	a := newServer(t, g, "a")
	image := a.add(t, disk(t, 1, 1), "1")
	var cut atomic.Bool
	g.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/channels/") && !cut.Swap(true) {
			g.Forward(discard{http.Header{}}, r)
			buckettest.Cut(w)
		}
		return false
	})
	a.point(t, "stable", image)
	if moves, err := a.store.History(t.Context(), "web"); err != nil || len(moves) != 1 || !cut.Load() {
		t.Errorf("history %v, %v; cut %v", moves, err, cut.Load())
	}
}

// discard is a ResponseWriter that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
