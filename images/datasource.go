package images

import (
	"context"
	"errors"
	"io"

	"ingot/images/master"
)

// frameSource is the data file as a [master.Source], whose reader checks what it gets. An
// error of the disk is a [*master.PermanentError].
type frameSource struct{ *Data }

// Layout implements [master.Source].
func (s frameSource) Layout(context.Context, *master.Manifest) (*master.Layout, error) {
	return s.layout, nil
}

// ReadRange implements [master.Source].
func (s frameSource) ReadRange(_ context.Context, _ *master.Layout, offset, length int64) (io.ReadCloser, error) {
	return &rangeReader{s.reader(offset), length}, nil
}

type rangeReader struct {
	*dataReader
	left int64
}

// Read implements io.Reader.
func (r *rangeReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.dataReader.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &master.PermanentError{Err: err}
	}
	return n, err
}

// checkedReader reads the whole data file and hands out no byte of a damaged frame.
type checkedReader struct {
	data *Data
	next int // of the layout's parts
	rest []byte
}

// Read implements io.Reader.
func (r *checkedReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		parts := r.data.layout.Parts()
		if r.next == len(parts) {
			return 0, io.EOF
		}
		if err := r.load(parts[r.next]); err != nil {
			return 0, err
		}
		r.next++
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *checkedReader) load(part master.Part) (err error) {
	if part.Chunk < 0 {
		r.rest = r.data.layout.Computed(part)
		return nil
	}
	r.rest, _, err = r.data.readChunk(part.Chunk)
	return err
}
