package images

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"ingot/images/master"
	"ingot/inventory"
)

// Handler serves /images/{digest}/manifest.json and /images/{digest}/data, with
// ranges. The first never changes. In the second the disk never does, but its frames may be
// made anew, and the file has another ETag then. The data goes out of the packs with
// sendfile(2) as long as no middleware hides the ResponseWriter's ReadFrom. Who may read is
// the caller's matter; what [Store.Trust] refuses is not served.
func (s *Store) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /images/{digest}/manifest.json", func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, "application/json", func(m *Master) io.ReadSeeker {
			w.Header().Set("ETag", `"`+m.digest.Hex()+`"`)
			w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
			return bytes.NewReader(m.Document)
		})
	})
	mux.HandleFunc("GET /images/{digest}/data", func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, "application/zstd", func(m *Master) io.ReadSeeker {
			w.Header().Set("ETag", `"`+m.digest.Hex()+"-"+m.Layout().Tag()+`"`)
			w.Header().Set("Cache-Control", "private, no-cache")
			return m.Data.reader(0)
		})
	})
	return mux
}

func (s *Store) serve(w http.ResponseWriter, r *http.Request, contentType string, content func(*Master) io.ReadSeeker) {
	digest, err := master.ParseDigest(r.PathValue("digest"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	m, err := s.openServed(digest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		http.Error(w, "no image "+digest.String(), http.StatusNotFound)
		return
	case errors.Is(err, inventory.ErrDenied):
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	case err != nil:
		http.Error(w, "the image can't be read: "+err.Error(), http.StatusInternalServerError)
		return
	}
	defer m.Close() // nothing was written
	body := content(m)
	if c, ok := body.(io.Closer); ok {
		defer c.Close()
	}
	w.Header().Set("Content-Type", contentType)
	http.ServeContent(partWriter{w}, r, "", time.Time{}, body)
}

// partWriter sends a dataReader part by part. The rest is http.ServeContent's.
type partWriter struct{ http.ResponseWriter }

// ReadFrom implements io.ReaderFrom. An error cuts the answer short of its
// Content-Length, which the client sees.
func (w partWriter) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if data, ok := limited.R.(*dataReader); ok {
			return data.sendTo(w.ResponseWriter, limited.N)
		}
	}
	return io.Copy(w.ResponseWriter, r)
}

// Unwrap is for http.ResponseController.
func (w partWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// maxServed is how many manifests stay parsed between requests: a machine asks for
// its image in a hundred ranges.
const maxServed = 8

// served are the masters that were asked for lately, complete and parsed, newest last.
type served struct {
	digest master.Digest
	master Master
}

// openServed is open, without reading what was read for the request before.
func (s *Store) openServed(d master.Digest) (*Master, error) {
	lease, err := s.lease(d)
	if err != nil {
		return nil, err
	}
	m, err := s.recent(d) // under the lease: packs that it counts on stay
	if err == nil && m == nil {
		if m, err = s.load(d); err == nil {
			err = s.complete(m)
		}
		if err == nil {
			s.keep(served{d, *m})
		}
	}
	if err == nil {
		err = s.trusted(d, m.Document)
	}
	if err != nil {
		return nil, errors.Join(err, lease.close())
	}
	m.lease = lease
	return m, nil
}

// recent returns what was kept, unless frames may have moved since.
func (s *Store) recent(d master.Digest) (*Master, error) {
	index, err := s.frameIndex()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, entry := range s.served {
		if entry.digest == d && entry.master.Data.generation == index.generation {
			s.served = append(append(s.served[:i:i], s.served[i+1:]...), entry)
			return &entry.master, nil
		}
	}
	return nil, nil
}

func (s *Store) keep(entry served) {
	entry.master.lease = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served = slices.DeleteFunc(s.served, func(old served) bool { return old.digest == entry.digest })
	if len(s.served) == maxServed {
		s.served = s.served[1:]
	}
	s.served = append(s.served, entry)
}
