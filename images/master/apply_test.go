package master_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/images/master"
)

// noWait makes retries immediate.
func noWait(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func apply(t *testing.T, m *master.Manifest, src master.Source, target master.Target, opts master.ApplyOptions) (master.Progress, error) {
	t.Helper()
	opts.Sleep = noWait
	return master.Apply(context.Background(), m, src, target, opts)
}

// wantDisk compares the written disk with the image, and checks that what is
// behind the image was left alone.
func wantDisk(t *testing.T, path string, disk []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[:len(disk)], disk) {
		t.Error("the disk differs from the image")
	}
	if rest := got[len(disk):]; len(bytes.Trim(rest, "\xEE")) > 0 {
		t.Error("bytes behind the image were changed")
	}
}

func TestApply(t *testing.T) {
	disk := testDisk(t)
	m, data := pack(t, disk)
	target, path := newDevice(t, int64(len(disk))+1<<20)
	var last master.Progress
	opts := master.ApplyOptions{Progress: func(p master.Progress) { last = p }}
	p, err := apply(t, m, master.ReaderSource{Data: bytes.NewReader(data)}, target, opts)
	if err != nil {
		t.Fatal(err)
	}
	wantDisk(t, path, disk)
	want := master.Progress{DoneBytes: m.LogicalBytes, TotalBytes: m.LogicalBytes, WrittenBytes: m.ChunkedBytes(), WireBytes: wireBytes(m, layoutOf(t, m, data))}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, last); diff != "" {
		t.Errorf("last report (-want +got):\n%s", diff)
	}
	if err := master.Verify(context.Background(), m, target, nil); err != nil {
		t.Error(err)
	}
}

func TestVerifyFindsChanges(t *testing.T) {
	disk := testDisk(t)
	m, _ := pack(t, disk)
	for name, at := range map[string]int{"data": 1<<20 + 5, "hole": 4 << 20, "last byte": len(disk) - 1} {
		changed := bytes.Clone(disk)
		changed[at] ^= 1
		var mismatch *master.MismatchError
		err := master.Verify(context.Background(), m, bytes.NewReader(changed), nil)
		if !errors.As(err, &mismatch) || int64(at) < mismatch.Offset || int64(at) >= mismatch.Offset+mismatch.Length {
			t.Errorf("%s: got %v, want a mismatch around %d", name, err, at)
		}
	}
}

// faultySource damages or cuts deliveries, by the number of the request.
type faultySource struct {
	data  []byte
	mu    sync.Mutex
	calls int
	fault func(call int, offset int64, body []byte) ([]byte, error)
}

func (s *faultySource) Layout(ctx context.Context, m *master.Manifest) (*master.Layout, error) {
	return master.ReaderSource{Data: bytes.NewReader(s.data)}.Layout(ctx, m)
}

func (s *faultySource) ReadRange(_ context.Context, _ *master.Layout, offset, length int64) (io.ReadCloser, error) {
	s.mu.Lock()
	s.calls++
	call := s.calls
	s.mu.Unlock()
	body, err := s.fault(call, offset, bytes.Clone(s.data[offset:offset+length]))
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

func TestApplyMendsFaults(t *testing.T) {
	disk := testDisk(t)
	m, data := pack(t, disk)
	for _, test := range []struct {
		name    string
		fault   func(call int, offset int64, body []byte) ([]byte, error)
		mended  func(master.Progress) int
		atLeast int
	}{
		{"flipped bit", func(call int, _ int64, b []byte) ([]byte, error) {
			if call <= 3 {
				b[len(b)/2] ^= 4
			}
			return b, nil
		}, func(p master.Progress) int { return p.Refetched }, 3},
		{"cut in the middle", func(call int, _ int64, b []byte) ([]byte, error) {
			if call <= 5 {
				b = b[:len(b)/2]
			}
			return b, nil
		}, func(p master.Progress) int { return p.Retries }, 5},
		{"refused connections", func(call int, _ int64, b []byte) ([]byte, error) {
			if call <= 20 {
				return nil, errors.New("connection refused")
			}
			return b, nil
		}, func(p master.Progress) int { return p.Retries }, 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			target, path := newDevice(t, int64(len(disk)))
			p, err := apply(t, m, &faultySource{data: data, fault: test.fault}, target, master.ApplyOptions{RangeBytes: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			wantDisk(t, path, disk)
			if got := test.mended(p); got < test.atLeast {
				t.Errorf("%d faults counted in %+v, want at least %d", got, p, test.atLeast)
			}
		})
	}
}

func TestApplyGivesUp(t *testing.T) {
	disk := testDisk(t)
	m, data := pack(t, disk)
	bad := layoutOf(t, m, data).Frame(2)
	t.Run("chunk stays wrong", func(t *testing.T) {
		damaged := bytes.Clone(data)
		damaged[bad.Offset+bad.Length/2] ^= 1
		target, _ := newDevice(t, int64(len(disk)))
		var wrong *master.ChunkError
		_, err := apply(t, m, master.ReaderSource{Data: bytes.NewReader(damaged)}, target, master.ApplyOptions{})
		if !errors.As(err, &wrong) || wrong.Index != 2 || wrong.Tries != 4 {
			t.Fatalf("got %v, want chunk 2 after 4 tries", err)
		}
		start := make([]byte, 512)
		if _, err := target.ReadAt(start, 0); err != nil || len(bytes.Trim(start, "\x00")) > 0 {
			t.Errorf("the boot sector was written (%v): a disk with half an image would boot", err)
		}
	})
	t.Run("decompression bomb", func(t *testing.T) {
		bomb, bombData := pack(t, bytes.Repeat([]byte{7}, 1<<20))
		frame := bombData[:layoutOf(t, bomb, bombData).Frame(0).Length]
		small, _ := pack(t, bytes.Repeat([]byte{7}, 512))
		l, err := master.NewLayout(small, []int64{int64(len(frame))})
		if err != nil {
			t.Fatal(err)
		}
		file := append(bytes.Clone(frame), l.Computed(l.Parts()[1])...)
		target, _ := newDevice(t, 4096)
		var wrong *master.ChunkError
		if _, err := apply(t, small, master.ReaderSource{Data: bytes.NewReader(file)}, target, master.ApplyOptions{}); !errors.As(err, &wrong) {
			t.Fatalf("got %v, want a chunk error", err)
		}
	})
	t.Run("source away", func(t *testing.T) {
		away := errors.New("no route to host")
		now := time.Unix(0, 0)
		var mu sync.Mutex
		clock := func() time.Time { mu.Lock(); defer mu.Unlock(); now = now.Add(time.Minute); return now }
		src := &faultySource{fault: func(int, int64, []byte) ([]byte, error) { return nil, away }, data: data}
		target, _ := newDevice(t, int64(len(disk)))
		if _, err := apply(t, m, src, target, master.ApplyOptions{Now: clock}); !errors.Is(err, away) {
			t.Errorf("got %v, want the source's error", err)
		}
	})
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		target, _ := newDevice(t, int64(len(disk)))
		if _, err := master.Apply(ctx, m, master.ReaderSource{Data: bytes.NewReader(data)}, target, master.ApplyOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want canceled", err)
		}
	})
}

func TestApplyResumes(t *testing.T) {
	disk := testDisk(t)
	m, data := pack(t, disk)
	target, path := newDevice(t, int64(len(disk)))
	done := make([]bool, len(m.Chunks))
	l := layoutOf(t, m, data)
	opts := master.ApplyOptions{ChunkDone: func(i int) { done[i] = true }}
	src := &faultySource{data: data, fault: func(call int, offset int64, b []byte) ([]byte, error) {
		if offset > l.Frame(3).Offset {
			return nil, &master.PermanentError{Err: errors.New("gone")}
		}
		return b, nil
	}}
	opts.RangeBytes, opts.Workers = 1, 1
	if _, err := apply(t, m, src, target, opts); err == nil {
		t.Fatal("no error from a source that refuses")
	}
	if _, err := target.WriteAt([]byte("changed"), m.Chunks[1].Offset); err != nil {
		t.Fatal(err)
	}
	p, err := apply(t, m, master.ReaderSource{Data: bytes.NewReader(data)}, target, master.ApplyOptions{Done: done})
	if err != nil {
		t.Fatal(err)
	}
	wantDisk(t, path, disk)
	if p.Reused != 2 || p.WireBytes >= wireBytes(m, l) || p.DoneBytes != m.LogicalBytes {
		t.Errorf("got %+v, want 2 chunks reused: 1 to 3 were written and 1 was changed since", p)
	}
	if _, err := apply(t, m, src, target, master.ApplyOptions{Done: done[:1]}); err == nil {
		t.Error("a journal of another image passed")
	}
}

// fakeDisk is a disk of a given shape; writing to it fails the test.
type fakeDisk struct {
	master.Target
	size   int64
	sector int
}

func (d fakeDisk) SizeBytes() int64 { return d.size }
func (d fakeDisk) SectorBytes() int { return d.sector }

func TestApplyRefusesBeforeWriting(t *testing.T) {
	m, data := pack(t, testDisk(t))
	src := master.ReaderSource{Data: bytes.NewReader(data)}
	var size *master.SizeError
	if _, err := apply(t, m, src, fakeDisk{size: m.LogicalBytes - 512, sector: 512}, master.ApplyOptions{}); !errors.As(err, &size) {
		t.Errorf("got %v, want a size error", err)
	}
	var sector *master.SectorError
	if _, err := apply(t, m, src, fakeDisk{size: m.LogicalBytes, sector: 4096}, master.ApplyOptions{}); !errors.As(err, &sector) {
		t.Errorf("got %v, want a sector error", err)
	}
}
