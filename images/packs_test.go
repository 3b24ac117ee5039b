package images

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"ingot/images/master"
)

func someEntries() []packEntry {
	return []packEntry{
		{master.DigestOf([]byte("a")), 0, 100},
		{master.DigestOf([]byte("b")), 100, 1},
		{master.DigestOf([]byte("c")), 5000, 1 << 20},
	}
}

func TestIndexText(t *testing.T) {
	text := encodeIndex(packContent{entries: someEntries()})
	for _, want := range []packContent{{someEntries(), false}, {someEntries(), true}} {
		got, err := parseIndex(encodeIndex(want))
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(packContent{}, packEntry{})); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	flipped := bytes.Clone(text)
	flipped[20] ^= 1
	overlapping := someEntries()
	overlapping[1].offset = 50
	empty := someEntries()
	empty[0].length = 0
	for name, test := range map[string]struct {
		text []byte
		says string
	}{
		"cut short":   {text[:len(text)-1], "cut short"},
		"nothing":     {nil, "cut short"},
		"another":     {append([]byte("INGOTPK9"), text[8:]...), "no index"},
		"flipped bit": {flipped, "damaged"},
		"overlapping": {encodeIndex(packContent{entries: overlapping}), "entry 1"},
		"empty frame": {encodeIndex(packContent{entries: empty}), "entry 0"},
	} {
		if _, err := parseIndex(test.text); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want one that says %q", name, err, test.says)
		}
	}
}

func FuzzIndex(f *testing.F) {
	f.Add(encodeIndex(packContent{}))
	f.Add(encodeIndex(packContent{someEntries(), true}))
	f.Fuzz(func(t *testing.T, text []byte) {
		content, err := parseIndex(text)
		if err == nil && !bytes.Equal(encodeIndex(content), text) {
			t.Errorf("%x reads as %v, which is written otherwise", text, content)
		}
	})
}

// TestOldestPackCounts: two servers that import the same at once leave it in two packs;
// all read the same one, and the other goes with the next removal.
func TestOldestPackCounts(t *testing.T) {
	s, err := NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	frame := []byte("a frame")
	sum := master.DigestOf(frame)
	var all []*staging
	for range 2 {
		st, err := s.newStaging(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(st.put(sum, frame), st.sync()); err != nil {
			t.Fatal(err)
		}
		all = append(all, st)
	}
	for _, st := range all {
		if err := errors.Join(s.locked(t.Context(), st.keepPack), st.discard()); err != nil {
			t.Fatal(err)
		}
	}
	for _, when := range []string{"both there", "one removed"} {
		x, err := s.reloadIndex()
		if err != nil || x.where[sum] != (location{1, 0, int64(len(frame))}) {
			t.Errorf("%s: %+v, %v", when, x.where[sum], err)
		}
		if _, _, err := s.removeFrames(t.Context(), func() (frames, error) { return frames{sum: {}}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if x, err := s.reloadIndex(); err != nil || len(x.packs) != 1 {
		t.Errorf("packs %v, %v", x.numbers(), err)
	}
}

// TestSweepPacks: a pack without its index is of a process that stopped in between.
func TestSweepPacks(t *testing.T) {
	dir := t.TempDir()
	s, err := NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	left := []string{s.packFile(7, packDataSuffix), s.packFile(6, packIndexSuffix) + ".new"}
	for _, path := range left {
		if err := os.WriteFile(path, []byte("half"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := NewStore(dir); err != nil {
		t.Fatal(err)
	}
	if names, err := filepath.Glob(filepath.Join(s.packs(), "*")); err != nil || names != nil {
		t.Errorf("left: %v, %v", names, err)
	}
}

// FuzzFrames: whatever a pack has in it, what is found lies where it says, one behind the
// other, and decodes.
func FuzzFrames(f *testing.F) {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(master.MaxChunkBytes))
	if err != nil {
		f.Fatal(err)
	}
	frame := enc.EncodeAll([]byte("a frame of a pack, a frame of a pack"), nil)
	f.Add(frame)
	f.Add(slices.Concat(frame, make([]byte, 5000), frame[:9], frame, frame, []byte{0x28, 0xB5}))
	f.Fuzz(func(t *testing.T, data []byte) {
		old := frames{master.DigestOf(frame): {}}
		content, err := findFrames(bytes.NewReader(data), int64(len(data)), old)
		if err != nil {
			t.Fatal(err)
		}
		if len(content.entries) > 0 {
			if _, err := parseIndex(encodeIndex(content)); err != nil {
				t.Error(err)
			}
		}
		for _, e := range content.entries {
			frame := data[e.offset:e.end()]
			raw, err := dec.DecodeAll(frame, nil)
			name := master.DigestOf(frame)
			if _, ok := old[name]; !ok {
				name = master.DigestOf(raw)
			}
			if err != nil || name != e.sum {
				t.Errorf("frame at %d: %v", e.offset, err)
			}
		}
	})
}
