package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"ingot/images/master"
)

// Data is the data file of a master, put together from its chunks: no file holds it. It
// is safe for many goroutines.
type Data struct {
	store    *Store
	manifest *master.Manifest
	layout   *master.Layout
}

// Size is the size of the data file.
func (d *Data) Size() int64 { return d.layout.SizeBytes() }

// ReadAt implements io.ReaderAt. The chunks' hashes are not checked: see [Master.Source].
func (d *Data) ReadAt(p []byte, offset int64) (int, error) {
	r := d.reader(offset)
	n, err := io.ReadFull(r, p)
	if errors.Is(err, io.ErrUnexpectedEOF) && offset+int64(n) == d.Size() {
		err = io.EOF
	}
	return n, errors.Join(err, r.Close())
}

// reader reads from an offset on.
func (d *Data) reader(offset int64) *dataReader { return &dataReader{data: d, at: offset} }

// dataReader reads a data file in order. It keeps one part open.
type dataReader struct {
	data *Data
	at   int64
	// part is what is open: a chunk's file or computed bytes, read up to at.
	part    master.Part
	content io.ReadSeeker
}

// Seek implements io.Seeker, for http.ServeContent.
func (r *dataReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.data.Size()
	}
	if offset < 0 {
		return r.at, fmt.Errorf("seek to %d of the image data", offset)
	}
	r.at = offset
	return offset, r.Close()
}

// Close closes the part that is open.
func (r *dataReader) Close() error {
	f, ok := r.content.(*os.File)
	r.content = nil
	if !ok {
		return nil
	}
	return f.Close()
}

// open opens the part at r.at; io.EOF behind the last one.
func (r *dataReader) open() error {
	if r.content != nil && r.at < r.part.End() {
		return nil
	}
	if err := r.Close(); err != nil {
		return err
	}
	part, ok := r.data.layout.At(r.at)
	if !ok {
		return io.EOF
	}
	r.part = part
	if part.Chunk < 0 {
		r.content = bytes.NewReader(r.data.layout.Computed(part))
	} else {
		f, err := r.data.store.openChunk(part.Chunk, r.data.manifest.Chunks[part.Chunk])
		if err != nil {
			return err
		}
		r.content = f
	}
	_, err := r.content.Seek(r.at-part.Offset, io.SeekStart)
	return err
}

// Read implements io.Reader.
func (r *dataReader) Read(p []byte) (int, error) {
	if err := r.open(); err != nil || len(p) == 0 {
		return 0, err
	}
	n, err := r.content.Read(p[:min(int64(len(p)), r.part.End()-r.at)])
	r.at += int64(n)
	if err == io.EOF && r.at < r.part.End() {
		return n, io.ErrUnexpectedEOF
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// sendTo writes the next n bytes to w, part by part: the file of a chunk goes out with
// sendfile(2) when w can.
func (r *dataReader) sendTo(w io.Writer, n int64) (sent int64, err error) {
	for sent < n {
		if err := r.open(); err != nil {
			return sent, err
		}
		m, err := io.CopyN(w, r.content, min(n-sent, r.part.End()-r.at))
		sent, r.at = sent+m, r.at+m
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// chunkSource is the data file as a [master.Source] that vouches for each whole frame.
type chunkSource struct{ *Data }

// ReadRange implements [master.Source]. A chunk that is missing or whose hash is wrong
// is a [*master.PermanentError] when its bytes are read.
func (s chunkSource) ReadRange(_ context.Context, offset, length int64) (io.ReadCloser, error) {
	return &checkedReader{data: s.Data, at: offset, end: min(offset+length, s.Size())}, nil
}

// checkedReader reads whole frames and hands out no byte of a wrong one.
type checkedReader struct {
	data    *Data
	at, end int64
	rest    []byte
}

// Close implements io.Closer.
func (r *checkedReader) Close() error { return nil }

// Read implements io.Reader.
func (r *checkedReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.at >= r.end {
			return 0, io.EOF
		}
		if err := r.load(); err != nil {
			return 0, &master.PermanentError{Err: err}
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *checkedReader) load() error {
	part, ok := r.data.layout.At(r.at)
	if !ok {
		return io.ErrUnexpectedEOF
	}
	content := []byte(nil)
	if part.Chunk < 0 {
		content = r.data.layout.Computed(part)
	} else {
		var err error
		if content, err = r.data.store.readChunk(part.Chunk, r.data.manifest.Chunks[part.Chunk]); err != nil {
			return err
		}
	}
	r.rest = content[r.at-part.Offset : min(part.End(), r.end)-part.Offset]
	r.at = min(part.End(), r.end)
	return nil
}
