// Package journal keeps byte streams of machines (agent log, kernel log, console) as
// files that can be read from the start and followed.
package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Journal keeps streams in a directory.
type Journal struct {
	dir string
	now func() time.Time

	mu      sync.Mutex
	streams map[string]*stream
}

// Open returns the journal in dir, which is made if need be.
func Open(dir string, now func() time.Time) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return &Journal{dir: dir, now: now, streams: map[string]*stream{}}, nil
}

var streamName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,127}$`)

func (j *Journal) path(name string) string { return filepath.Join(j.dir, name+".log") }

func (j *Journal) stream(name string) (*stream, error) {
	if !streamName.MatchString(name) {
		return nil, fmt.Errorf("journal %q: bad name", name)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if s, ok := j.streams[name]; ok {
		return s, nil
	}
	f, err := os.OpenFile(j.path(name), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s := &stream{file: f, size: size, grown: make(chan struct{})}
	j.streams[name] = s
	return s, nil
}

// Append adds text to a stream; each line that begins in it gets the time.
func (j *Journal) Append(name string, text []byte) error {
	s, err := j.stream(name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size > maxBytes {
		if err := j.rotate(name, s); err != nil {
			return err
		}
	}
	n, err := s.file.Write(s.stamp(text, j.now()))
	s.size += int64(n)
	if err != nil {
		return fmt.Errorf("append to journal %s: %w", name, err)
	}
	close(s.grown)
	s.grown = make(chan struct{})
	return nil
}

// rotate keeps the file as NAME.old.log and starts a new one.
func (j *Journal) rotate(name string, s *stream) error {
	if err := os.Rename(j.path(name), j.path(name+".old")); err != nil {
		return fmt.Errorf("rotate journal %s: %w", name, err)
	}
	f, err := os.OpenFile(j.path(name), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("rotate journal %s: %w", name, err)
	}
	err = s.file.Close()
	s.file, s.size = f, 0
	s.rotations++
	return err
}

// Read copies a stream to w, and with follow goes on until ctx ends. A stream that was
// never written to is empty.
func (j *Journal) Read(ctx context.Context, name string, follow bool, w io.Writer) error {
	s, err := j.stream(name)
	if err != nil {
		return err
	}
	for {
		rotated, err := j.readFile(ctx, name, s, follow, w)
		if err != nil {
			return fmt.Errorf("read journal %s: %w", name, err)
		}
		if !rotated {
			return nil
		}
	}
}

// readFile copies the stream's present file; rotated means that a new one was begun and
// this one is read to its end.
func (j *Journal) readFile(ctx context.Context, name string, s *stream, follow bool, w io.Writer) (rotated bool, err error) {
	f, began, err := j.openStream(name, s)
	if err != nil {
		return false, err
	}
	defer f.Close()
	for {
		s.mu.Lock()
		grown, now := s.grown, s.rotations
		s.mu.Unlock()
		if _, err := io.Copy(w, f); err != nil {
			return false, err
		}
		if now != began || !follow {
			return now != began && follow, nil
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-grown:
		}
	}
}

// openStream opens the present file together with the number of its rotation.
func (j *Journal) openStream(name string, s *stream) (*os.File, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := os.Open(j.path(name))
	return f, s.rotations, err
}

// Names are the streams whose name begins with a prefix, sorted.
func (j *Journal) Names(prefix string) ([]string, error) {
	paths, err := filepath.Glob(j.path(prefix + "*"))
	if err != nil {
		return nil, fmt.Errorf("list journal: %w", err)
	}
	var names []string
	for _, p := range paths {
		if name := strings.TrimSuffix(filepath.Base(p), ".log"); streamName.MatchString(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// Remove forgets a stream.
func (j *Journal) Remove(name string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if s, ok := j.streams[name]; ok {
		_ = s.file.Close() // only read from now on
		delete(j.streams, name)
	}
	for _, p := range []string{j.path(name), j.path(name + ".old")} {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove journal %s: %w", name, err)
		}
	}
	return nil
}

// Close closes all streams.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var errs []error
	for _, s := range j.streams {
		errs = append(errs, s.file.Close())
	}
	clear(j.streams)
	return errors.Join(errs...)
}
