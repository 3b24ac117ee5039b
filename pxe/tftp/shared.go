package tftp

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
)

const (
	// sharedBytes is what a Shared keeps at most: all a boot set has for one firmware.
	sharedBytes = 64 << 20
	readAhead   = 64 << 10
)

// Shared keeps files in memory while somebody reads them, once for all who do: machines
// that are switched on together ask for the same loader, kernel and initrd. A file that
// there is no room for is read from the disk. The zero Shared is ready.
type Shared struct {
	// RoomBytes is how much it keeps; 0 means 64 MiB.
	RoomBytes int64

	mu        sync.Mutex
	held      []*content
	heldBytes int64
}

// content is a file that is open. It is the same file as another one if the system says
// so and it has not changed.
type content struct {
	info    fs.FileInfo
	readers int
	load    sync.Once
	data    []byte
	err     error
}

// File returns a File with what f has, and closes f with it; f is closed too if that
// fails.
func (s *Shared) File(f *os.File) (File, error) {
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("stat boot file: %w", err)
	}
	if c := s.hold(info); c != nil {
		return &sharedFile{file: f, content: c, from: s}, nil
	}
	return &diskFile{file: f, ahead: bufio.NewReaderSize(f, readAhead), sizeBytes: info.Size()}, nil
}

// hold counts a reader of a file; nil says that there is no room.
func (s *Shared) hold(info fs.FileInfo) *content {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.held {
		if os.SameFile(c.info, info) && c.info.Size() == info.Size() && c.info.ModTime().Equal(info.ModTime()) {
			c.readers++
			return c
		}
	}
	room := s.RoomBytes
	if room == 0 {
		room = sharedBytes
	}
	if s.heldBytes+info.Size() > room {
		return nil
	}
	c := &content{info: info, readers: 1}
	s.held, s.heldBytes = append(s.held, c), s.heldBytes+info.Size()
	return c
}

// release forgets a file with its last reader.
func (s *Shared) release(c *content) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.readers--; c.readers > 0 {
		return
	}
	s.heldBytes -= c.info.Size()
	s.held = slices.DeleteFunc(s.held, func(other *content) bool { return other == c })
}

// read fills in the content at the first block that anybody wants: firmware that asks for
// the size alone costs nothing.
func (c *content) read(f *os.File) error {
	c.load.Do(func() {
		data := make([]byte, c.info.Size())
		if n, err := f.ReadAt(data, 0); n < len(data) {
			c.err = fmt.Errorf("read %s: %d of %d bytes: %w", c.info.Name(), n, len(data), err)
			return
		}
		c.data = data
	})
	return c.err
}

// sharedFile is one reader of a content.
type sharedFile struct {
	file    *os.File
	content *content
	from    *Shared
	rest    *bytes.Reader
}

func (f *sharedFile) Read(p []byte) (int, error) {
	if f.rest == nil {
		if err := f.content.read(f.file); err != nil {
			return 0, err
		}
		f.rest = bytes.NewReader(f.content.data)
	}
	return f.rest.Read(p)
}

func (f *sharedFile) SizeBytes() int64 { return f.content.info.Size() }

func (f *sharedFile) Close() error {
	f.from.release(f.content)
	return f.file.Close()
}

// diskFile reads a file from the disk, a few blocks ahead.
type diskFile struct {
	file      *os.File
	ahead     io.Reader
	sizeBytes int64
}

func (f *diskFile) Read(p []byte) (int, error) { return f.ahead.Read(p) }
func (f *diskFile) SizeBytes() int64           { return f.sizeBytes }
func (f *diskFile) Close() error               { return f.file.Close() }
