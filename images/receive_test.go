package images_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/images"
	"ingot/images/master"
	"ingot/inventory"
)

// outgoing is an image of a store as another one gets it.
func outgoing(t *testing.T, from *images.Store, digest string) images.Incoming {
	t.Helper()
	m, err := from.Open(digest)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	folder, err := from.Folder(digest)
	if err != nil {
		t.Fatal(err)
	}
	document, err := fs.ReadFile(folder, "image.json")
	if err != nil {
		t.Fatal(err)
	}
	return images.Incoming{Manifest: m.Document, Image: document, AtOnce: 4, Frame: func(_ context.Context, c master.Chunk) ([]byte, error) {
		for i, other := range m.Manifest.Chunks {
			if other.SHA256 == c.SHA256 {
				return m.Frame(i)
			}
		}
		return nil, errors.New("no such chunk")
	}}
}

func TestReceive(t *testing.T) {
	from, _ := newStore(t)
	path := rawDisk(t, 1)
	image, err := from.Import(t.Context(), path, options())
	if err != nil {
		t.Fatal(err)
	}
	to, _ := newStore(t)
	in := outgoing(t, from, image.Digest)
	var said [][2]int64
	in.Progress = func(done, total int64) { said = append(said, [2]int64{done, total}) }
	got, err := to.Receive(t.Context(), image.Digest, in)
	if total := said[0][1]; len(said) < 3 || said[0][0] != 0 || said[len(said)-1] != [2]int64{total, total} || total <= 1<<20 || total > image.SizeBytes {
		t.Errorf("progress %v of an image with %d bytes", said, image.SizeBytes)
	}
	if d := cmp.Diff(image, got); d != "" || err != nil {
		t.Errorf("received (-want +got): %v\n%s", err, d)
	}
	// What came before it broke off is not asked for again.
	third, _ := newStore(t)
	cut, asked := outgoing(t, from, image.Digest), 0
	cut.AtOnce = 1
	frame := cut.Frame
	cut.Frame = func(ctx context.Context, c master.Chunk) ([]byte, error) {
		if asked++; asked == 2 {
			return nil, errors.New("the line broke")
		}
		return frame(ctx, c)
	}
	if _, err := third.Receive(t.Context(), image.Digest, cut); err == nil {
		t.Error("received over a broken line")
	}
	chunks := asked
	if _, err := third.Receive(t.Context(), image.Digest, cut); err != nil {
		t.Error(err)
	}
	m, err := from.Open(image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if want := len(m.Manifest.Chunks) + 1; asked != want || chunks != 2 {
		t.Errorf("asked %d times for chunks, %d until it broke, want %d and 2", asked, chunks, want)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	// What is here is not asked for.
	again := outgoing(t, from, image.Digest)
	again.Frame = func(context.Context, master.Chunk) ([]byte, error) { return nil, errors.New("asked") }
	if _, err := to.Receive(t.Context(), image.Digest, again); err != nil {
		t.Error(err)
	}
}

// TestReceiveWrong: what does not fit together is refused, and no such image is there.
func TestReceiveWrong(t *testing.T) {
	from, _ := newStore(t)
	image, err := from.Import(t.Context(), rawDisk(t, 1), options())
	if err != nil {
		t.Fatal(err)
	}
	document := func(change func(map[string]any)) func(*images.Incoming) {
		return func(in *images.Incoming) {
			var doc map[string]any
			if err := json.Unmarshal(in.Image, &doc); err != nil {
				t.Fatal(err)
			}
			change(doc)
			var err error
			if in.Image, err = json.Marshal(doc); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*images.Incoming)
		say    string
	}{
		"manifest":       {func(in *images.Incoming) { in.Manifest = append([]byte(" "), in.Manifest...) }, "manifest.json"},
		"no document":    {func(in *images.Incoming) { in.Image = nil }, "image.json"},
		"name":           {document(func(d map[string]any) { d["name"] = "../../etc" }), "image name"},
		"other digest":   {document(func(d map[string]any) { d["digest"] = "sha256:" + strings.Repeat("0", 64) }), "something else than the manifest"},
		"other size":     {document(func(d map[string]any) { d["sizeBytes"] = 1 }), "something else than the manifest"},
		"other firmware": {document(func(d map[string]any) { d["bootModes"] = []string{"bios"} }), "something else than the manifest"},
		"damaged chunk": {func(in *images.Incoming) {
			frame := in.Frame
			in.Frame = func(ctx context.Context, c master.Chunk) ([]byte, error) {
				data, err := frame(ctx, c)
				data[len(data)-1] ^= 1
				return data, err
			}
		}, "is damaged: it is no zstd frame"},
		"short chunk": {func(in *images.Incoming) {
			in.Frame = func(context.Context, master.Chunk) ([]byte, error) { return nil, nil }
		}, "is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			to, dir := newStore(t)
			in := outgoing(t, from, image.Digest)
			c.change(&in)
			if _, err := to.Receive(t.Context(), image.Digest, in); !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), c.say) {
				t.Errorf("receive: %v, want %q", err, c.say)
			}
			left, err := to.List(t.Context())
			if err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
			// Nor a chunk under another's name.
			chunks, err := filepath.Glob(filepath.Join(dir, "chunks", "sha256", "*", "*"))
			for _, path := range chunks {
				data, err := os.ReadFile(path)
				if err != nil || master.DigestOf(data).Hex() != filepath.Base(path) {
					t.Errorf("%s has other bytes: %v", path, err)
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFollow: channels follow elsewhere, histories are merged, and nobody moves a shared
// channel alone.
func TestFollow(t *testing.T) {
	store, _ := newStore(t)
	o := options()
	o.Channels = []string{"stable"}
	image, err := store.Import(t.Context(), rawDisk(t, 1), o)
	if err != nil {
		t.Fatal(err)
	}
	o.Channels = nil
	other, err := store.Import(t.Context(), rawDisk(t, 2), o)
	if err != nil {
		t.Fatal(err)
	}
	before, err := store.History(t.Context(), o.Name)
	if err != nil {
		t.Fatal(err)
	}
	early := inventory.ChannelMove{Channel: "next", Digest: other.Digest, At: time.Unix(1, 0).UTC(), Why: "early"}
	late := inventory.ChannelMove{Channel: "stable", Digest: other.Digest, At: before[0].At.Add(time.Hour), Why: "late"}
	gone := inventory.ChannelMove{Channel: "stable", Digest: "sha256:" + strings.Repeat("0", 64), At: late.At}
	if err := store.Follow(t.Context(), o.Name, []inventory.ChannelMove{gone}, nil); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("follow to what is not here: %v", err)
	}
	for range 2 { // the second time changes nothing
		if err := store.Follow(t.Context(), o.Name, []inventory.ChannelMove{late}, []inventory.ChannelMove{early, late}); err != nil {
			t.Fatal(err)
		}
	}
	after, err := store.History(t.Context(), o.Name)
	if d := cmp.Diff([]inventory.ChannelMove{early, before[0], late}, after); d != "" || err != nil {
		t.Errorf("history (-want +got): %v\n%s", err, d)
	}
	if got, err := store.Get(t.Context(), o.Name); err != nil || got.Digest != other.Digest {
		t.Errorf("stable: %v, %v", got.Digest, err)
	}

	if err := store.SetSharedAt("https://s3.example.com/racks"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.MoveChannel(t.Context(), o.Name, "stable", image.Digest, ""); !errors.Is(err, inventory.ErrConflict) || !strings.Contains(err.Error(), "shared in https://s3.example.com/racks") {
		t.Errorf("move a shared channel alone: %v", err)
	}
	store.Shared = func(context.Context, string, inventory.ChannelMove) error { return inventory.ErrBusy }
	if _, err := store.MoveChannel(t.Context(), o.Name, "stable", image.Digest, ""); !errors.Is(err, inventory.ErrBusy) {
		t.Errorf("move that is refused: %v", err)
	}
	if got, err := store.Get(t.Context(), o.Name); err != nil || got.Digest != other.Digest {
		t.Errorf("stable after refused moves: %v, %v", got.Digest, err)
	}
}
