package seed

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/diskfs/go-diskfs/backend"
)

// memory is a disk in memory for go-diskfs: a seed may hold secrets, so it never
// touches the server's file system.
type memory struct {
	data []byte
	pos  int64
}

var _ backend.Storage = (*memory)(nil)

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(m.data)) {
		return 0, io.EOF
	}
	n := copy(p, m.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > int64(len(m.data)) {
		return 0, io.ErrShortWrite
	}
	return copy(m.data[off:], p), nil
}

func (m *memory) Read(p []byte) (int, error) {
	n, err := m.ReadAt(p, m.pos)
	m.pos += int64(n)
	return n, err
}

func (m *memory) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += m.pos
	case io.SeekEnd:
		off += int64(len(m.data))
	}
	if off < 0 {
		return m.pos, errors.New("seek before the start")
	}
	m.pos = off
	return off, nil
}

func (m *memory) Close() error                            { return nil }
func (m *memory) Stat() (fs.FileInfo, error)              { return info{int64(len(m.data))}, nil }
func (m *memory) Path() string                            { return "" }
func (m *memory) Writable() (backend.WritableFile, error) { return m, nil }
func (m *memory) Sys() (*os.File, error)                  { return nil, backend.ErrNotSuitable }

type info struct{ size int64 }

func (i info) Name() string     { return "seed" }
func (i info) Size() int64      { return i.size }
func (info) Mode() fs.FileMode  { return 0o600 }
func (info) ModTime() time.Time { return time.Time{} }
func (info) IsDir() bool        { return false }
func (info) Sys() any           { return nil }
