package contents

import (
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/diskfs/go-diskfs/backend"
)

// reader is a stretch of a disk as the file that go-diskfs reads from. It can't be
// written to.
type reader struct{ *io.SectionReader }

var _ backend.Storage = reader{}

func newReader(disk io.ReaderAt, offset, length int64) reader {
	return reader{io.NewSectionReader(disk, offset, length)}
}

// Close implements backend.File; the disk is its owner's to close.
func (reader) Close() error { return nil }

// Stat implements backend.File.
func (r reader) Stat() (fs.FileInfo, error) { return readerInfo{r.Size()}, nil }

// Sys implements backend.Storage: there is no file of the operating system's.
func (reader) Sys() (*os.File, error) { return nil, backend.ErrNotSuitable }

// Writable implements backend.Storage.
func (reader) Writable() (backend.WritableFile, error) { return nil, backend.ErrIncorrectOpenMode }

// Path implements backend.Storage.
func (reader) Path() string { return "" }

type readerInfo struct{ size int64 }

func (i readerInfo) Name() string     { return "disk" }
func (i readerInfo) Size() int64      { return i.size }
func (readerInfo) Mode() fs.FileMode  { return 0o400 }
func (readerInfo) ModTime() time.Time { return time.Time{} }
func (readerInfo) IsDir() bool        { return false }
func (readerInfo) Sys() any           { return nil }
