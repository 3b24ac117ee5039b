package images

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"ingot/images/master"
)

// Data is the data file of a master, put together from the packs that hold its chunks. It
// is safe for many goroutines.
type Data struct {
	store    *Store
	manifest *master.Manifest
	layout   *master.Layout
	// places is where each chunk's frame is, by index; runs is the same for reading in
	// order.
	generation int
	places     []location
	runs       []run
}

// place makes the layout of the frames that were found.
func (d *Data) place() (err error) {
	lengths := make([]int64, len(d.places))
	for i, p := range d.places {
		lengths[i] = p.length
	}
	if d.layout, err = master.NewLayout(d.manifest, lengths); err == nil {
		d.runs = newRuns(d.layout, d.places)
	}
	return err
}

// Size is the size of the data file.
func (d *Data) Size() int64 { return d.layout.SizeBytes() }

// ReadAt implements io.ReaderAt. The chunks' hashes are not checked.
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

// dataReader reads a data file in order. It keeps one pack open.
type dataReader struct {
	data *Data
	at   int64
	// run is what is open, read up to at: in a pack's file, or computed bytes.
	run     run
	content io.ReadSeeker
	pack    *os.File
	number  int // of the pack
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
	r.at, r.content = offset, nil
	return offset, nil
}

// Close closes the pack that is open.
func (r *dataReader) Close() error {
	f := r.pack
	r.content, r.pack = nil, nil
	if f == nil {
		return nil
	}
	return f.Close()
}

// open opens the run at r.at; io.EOF behind the last one.
func (r *dataReader) open() error {
	if r.content != nil && r.at < r.run.end() {
		return nil
	}
	next, ok := findRun(r.data.runs, r.at)
	if !ok {
		return io.EOF
	}
	if err := r.enter(next); err != nil {
		return err
	}
	r.run = next
	_, err := r.content.Seek(next.packAt+r.at-next.offset, io.SeekStart)
	return err
}

// enter opens what a run is in, unless it is open.
func (r *dataReader) enter(next run) error {
	if next.pack == 0 {
		r.content = bytes.NewReader(r.data.layout.Computed(next.part))
		return nil
	}
	if r.pack == nil || r.number != next.pack {
		if err := r.Close(); err != nil {
			return err
		}
		f, err := os.Open(r.data.store.packFile(next.pack, packDataSuffix))
		if err != nil {
			return err
		}
		r.pack, r.number = f, next.pack
	}
	r.content = r.pack
	return nil
}

// Read implements io.Reader.
func (r *dataReader) Read(p []byte) (int, error) {
	if err := r.open(); err != nil || len(p) == 0 {
		return 0, err
	}
	n, err := r.content.Read(p[:min(int64(len(p)), r.run.end()-r.at)])
	r.at += int64(n)
	if err == io.EOF && r.at < r.run.end() {
		return n, io.ErrUnexpectedEOF
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// sendTo writes the next n bytes to w, run by run: what is in a pack goes out with
// sendfile(2) when w can.
func (r *dataReader) sendTo(w io.Writer, n int64) (sent int64, err error) {
	for sent < n {
		if err := r.open(); err != nil {
			return sent, err
		}
		m, err := io.CopyN(w, r.content, min(n-sent, r.run.end()-r.at))
		sent, r.at = sent+m, r.at+m
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}
