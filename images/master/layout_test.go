package master_test

import (
	"bytes"
	"context"
	"errors"
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
	layout := layoutOf(t, m, data)
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
			got = append(got, kept.all[m.Chunks[part.Chunk].SHA256]...)
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
	d := master.NewDisk(m, func(i int) ([]byte, error) {
		c := m.Chunks[i]
		return c.Unpack(kept.all[c.SHA256], c.Room())
	})
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
	m, data := pack(t, testDisk(t))
	other, otherData := pack(t, testDisk(t)[:8<<20])
	for name, test := range map[string]struct {
		m    *master.Manifest
		data []byte
	}{
		"cut short":          {m, data[:len(data)-1]},
		"longer":             {m, append([]byte{0}, data...)},
		"empty":              {m, nil},
		"another image":      {m, otherData},
		"another's manifest": {other, data},
	} {
		var permanent *master.PermanentError
		_, err := master.ReaderSource{Data: bytes.NewReader(test.data)}.Layout(context.Background(), test.m)
		if !errors.As(err, &permanent) {
			t.Errorf("%s: %v, want a permanent error", name, err)
		}
		t.Log(name, err)
	}
	good := layoutOf(t, m, data)
	lengths := make([]int64, len(m.Chunks))
	for i := range lengths {
		lengths[i] = good.Frame(i).Length
	}
	for name, wrong := range map[string][]int64{
		"too few":          lengths[1:],
		"an empty frame":   append([]int64{0}, lengths[1:]...),
		"a frame too long": append([]int64{m.Chunks[0].MaxFrameBytes() + 1}, lengths[1:]...),
	} {
		if _, err := master.NewLayout(m, wrong); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzParseLayout reads the end of a data file.
func FuzzParseLayout(f *testing.F) {
	m, data := pack(f, testDisk(f)[:3<<20])
	f.Add(data[len(data)-int(m.SeekTableBytes()):])
	f.Add(data[len(data)-9:])
	f.Add([]byte{0x5e, 0x2a, 0x4d, 0x18, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0xb1, 0xea, 0x92, 0x8f})
	f.Fuzz(func(t *testing.T, table []byte) {
		l, err := master.ParseLayout(m, table)
		if err != nil {
			return
		}
		if end := l.Parts()[len(l.Parts())-1]; !bytes.Equal(l.Computed(end), table) {
			t.Fatal("another table")
		}
	})
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
