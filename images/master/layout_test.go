package master_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/images/master"
)

// frames keeps frames by their digest.
type frames struct {
	put master.Put
	all map[master.Digest][]byte
}

func newFrames() *frames {
	f := &frames{all: map[master.Digest][]byte{}}
	f.put = func(sum master.Digest, frame []byte) error {
		f.all[sum] = bytes.Clone(frame)
		return nil
	}
	return f
}

func TestLayoutIsTheDataFile(t *testing.T) {
	disk := testDisk(t)
	want, data := pack(t, disk)
	kept := newFrames()
	opts := master.WriteOptions{Traits: testTraits(), ChunkBytes: 512 << 10}
	m, err := master.WriteFrames(context.Background(), bytes.NewReader(disk), int64(len(disk)), kept.put, opts)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("manifest (-data file +frames):\n%s", diff)
	}
	stream, err := master.WriteStream(context.Background(), bytes.NewReader(disk), kept.put, opts)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, stream); diff != "" {
		t.Errorf("manifest (-data file +stream):\n%s", diff)
	}
	layout, err := master.NewLayout(m)
	if err != nil {
		t.Fatal(err)
	}
	if layout.SizeBytes() != int64(len(data)) {
		t.Errorf("size %d, want %d", layout.SizeBytes(), len(data))
	}
	var got []byte
	for at := int64(0); ; {
		part, ok := layout.At(at)
		if !ok {
			break
		}
		if part.Chunk < 0 {
			got = append(got, layout.Computed(part)...)
		} else {
			got = append(got, kept.all[m.Chunks[part.Chunk].FrameSHA256]...)
		}
		at = part.End()
	}
	if !bytes.Equal(got, data) {
		t.Error("the layout gives another data file")
	}
	wantReads(t, m, kept, disk)
}

// wantReads reads the disk in odd pieces.
func wantReads(t *testing.T, m *master.Manifest, kept *frames, disk []byte) {
	t.Helper()
	d, err := master.NewDisk(m, func(i int) ([]byte, error) { return kept.all[m.Chunks[i].FrameSHA256], nil })
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	all, err := io.ReadAll(io.NewSectionReader(d, 0, d.SizeBytes()))
	if err != nil || !bytes.Equal(all, disk) {
		t.Errorf("the disk differs: %v", err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		at := rng.IntN(len(disk))
		buf := make([]byte, rng.IntN(2<<20))
		n, err := d.ReadAt(buf, int64(at))
		if end := min(at+len(buf), len(disk)); n != end-at || !bytes.Equal(buf[:n], disk[at:end]) || (err == io.EOF) != (n < len(buf)) {
			t.Fatalf("read %d at %d: %d, %v", len(buf), at, n, err)
		}
	}
}

func TestLayoutRefuses(t *testing.T) {
	m, _ := pack(t, testDisk(t))
	for name, change := range map[string]func(*master.Manifest){
		"a gap before a frame": func(m *master.Manifest) { m.Chunks[1].FileOffset++ },
		"another table":        func(m *master.Manifest) { m.DataBytes++ },
	} {
		wrong := *m
		wrong.Chunks = append([]master.Chunk(nil), m.Chunks...)
		change(&wrong)
		if _, err := master.NewLayout(&wrong); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestCutFollowsContent moves content by a few blocks, and changes some in the middle.
func TestCutFollowsContent(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	head, tail := random(12<<20), random(12<<20)
	write := func(parts ...[]byte) map[master.Digest][]byte {
		t.Helper()
		kept := newFrames()
		disk := bytes.Join(parts, nil)
		m, err := master.WriteFrames(context.Background(), bytes.NewReader(disk), int64(len(disk)), kept.put, master.WriteOptions{Traits: testTraits()})
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range m.Chunks {
			if last := i == len(m.Chunks)-1; c.Length > 1<<20 || c.Length < 32<<10 && !last || c.Offset%4096 != 0 {
				t.Errorf("chunk %d: %d bytes at %d", i, c.Length, c.Offset)
			}
		}
		if mean := len(disk) / len(m.Chunks); mean < 70<<10 || mean > 150<<10 {
			t.Errorf("the mean chunk has %d bytes", mean)
		}
		return kept.all
	}
	first := write(head, tail)
	second := write(head, random(3*4096), tail)
	fresh := 0
	for sum, frame := range second {
		if first[sum] == nil {
			fresh += len(frame)
		}
	}
	if fresh > 1<<20 {
		t.Errorf("12 KiB that were put in between cost %d bytes", fresh)
	}
	t.Logf("12 KiB that were put in between cost %d bytes of %d", fresh, len(head)+len(tail))
}
