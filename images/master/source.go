package master

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Source gives ranges of a data file. Implementations are safe for many calls at
// once. An error that trying again can't mend is a [*PermanentError].
type Source interface {
	// Layout returns where the frames of the manifest's chunks are now.
	Layout(ctx context.Context, m *Manifest) (*Layout, error)
	// ReadRange returns length bytes from offset of the file that has the layout. A body
	// that ends early is seen by the reader, which asks again from where it ended. It is
	// [ErrMoved] when the file has another layout by now.
	ReadRange(ctx context.Context, l *Layout, offset, length int64) (io.ReadCloser, error)
}

// ErrMoved says that the frames of an image were made anew: its data file has another
// layout than before.
var ErrMoved = errors.New("the image's data was packed anew")

// PermanentError marks an error of a [Source] as one that trying again won't mend.
type PermanentError struct{ Err error }

func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *PermanentError) Unwrap() error { return e.Err }

// ReaderSource is a [Source] over a data file at hand.
type ReaderSource struct {
	Data interface {
		io.ReaderAt
		Size() int64
	}
}

// Layout implements [Source].
func (s ReaderSource) Layout(_ context.Context, m *Manifest) (*Layout, error) {
	table := make([]byte, m.SeekTableBytes())
	if _, err := s.Data.ReadAt(table, s.Data.Size()-int64(len(table))); err != nil {
		return nil, &PermanentError{fmt.Errorf("read seek table: %w", err)}
	}
	l, err := ParseLayout(m, table)
	if err == nil && l.SizeBytes() != s.Data.Size() {
		err = fmt.Errorf("the file has %d bytes, its seek table says %d", s.Data.Size(), l.SizeBytes())
	}
	if err != nil {
		return nil, &PermanentError{err}
	}
	return l, nil
}

// ReadRange implements [Source].
func (s ReaderSource) ReadRange(_ context.Context, _ *Layout, offset, length int64) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(s.Data, offset, length)), nil
}
