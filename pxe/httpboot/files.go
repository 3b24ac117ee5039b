package httpboot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"

	"ingot/inventory"
)

// Files opens what may be served. There are no listings.
type Files interface {
	// Open returns a file by its clean name. An unknown name is inventory.ErrNotFound,
	// one that this client may not have inventory.ErrDenied.
	Open(ctx context.Context, r Request) (File, error)
}

// Request is what a client asks for.
type Request struct {
	// Name is the name below the mount point without MAC folder; MAC is that folder,
	// if there was one.
	Name string
	MAC  inventory.MAC
	// Client is who asks.
	Client netip.Addr
}

// File is an open file. An *os.File as Content goes out by sendfile.
type File struct {
	Content io.ReadSeekCloser
	// Modified and ETag (with its quotes) let a client resume; zero when unknown.
	Modified time.Time
	ETag     string
	// Type is the content type; empty means application/octet-stream.
	Type string
}

// Transfer is how one request for a file ended.
type Transfer struct {
	Request
	Outcome inventory.FileOutcome
	// Status is the HTTP status.
	Status int
	// Bytes were sent of TotalBytes that the answer has (the range, if one was asked).
	Bytes, TotalBytes int64
	// Range is the range header, empty when the whole file was asked for.
	Range    string
	Duration time.Duration
	// Err tells why it stopped.
	Err error
}

// Observer is told how each request for a file ended; a HEAD request is a size probe. It
// must not block.
type Observer interface {
	Transferred(t Transfer)
}

// fileHandler serves files.
type fileHandler struct {
	files    Files
	observer Observer
	now      func() time.Time
}

// FileHandler serves files by name below where it is mounted (http.StripPrefix):
// GET and HEAD, with ranges. observer may be nil; now nil means time.Now.
func FileHandler(files Files, observer Observer, now func() time.Time) http.Handler {
	if now == nil {
		now = time.Now
	}
	return fileHandler{files, observer, now}
}

// ServeHTTP implements http.Handler.
func (h fileHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	start := h.now()
	m := newMeter(w)
	t := Transfer{Range: r.Header.Get("Range")}
	t.Name, t.MAC = fileName(r.URL.Path)
	t.Client = clientAddr(r)
	err := h.serve(m, r, t.Request)
	t.Status, t.Bytes, t.TotalBytes = m.status, m.bytes, m.length()
	t.Duration = h.now().Sub(start)
	h.report(t, r.Method, errors.Join(err, m.err))
}

func (h fileHandler) serve(w http.ResponseWriter, r *http.Request, q Request) error {
	file, err := h.open(r, q)
	if err != nil {
		status, text := http.StatusInternalServerError, "file can't be served"
		switch {
		case errors.Is(err, inventory.ErrNotFound), errors.Is(err, inventory.ErrInvalid):
			status, text = http.StatusNotFound, "file not found"
		case errors.Is(err, inventory.ErrDenied):
			status, text = http.StatusForbidden, "not for this client"
		}
		http.Error(w, text, status)
		return err
	}
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	if file.Type != "" {
		header.Set("Content-Type", file.Type)
	}
	if file.ETag != "" {
		header.Set("ETag", file.ETag)
	}
	http.ServeContent(w, r, "", file.Modified, file.Content)
	if err := file.Content.Close(); err != nil {
		return fmt.Errorf("close %s: %w", q.Name, err)
	}
	return nil
}

func (h fileHandler) open(r *http.Request, q Request) (File, error) {
	if q.Name == "" {
		return File{}, inventory.NotFound("file", r.URL.Path)
	}
	file, err := h.files.Open(r.Context(), q)
	if err != nil {
		return File{}, fmt.Errorf("open %s: %w", q.Name, err)
	}
	return file, nil
}

// report tells the observer how it ended.
func (h fileHandler) report(t Transfer, method string, err error) {
	if h.observer == nil {
		return
	}
	switch {
	case t.Status == http.StatusNotFound:
		t.Outcome, t.Bytes, t.TotalBytes = inventory.FileNotFound, 0, 0
	case t.Status >= 400:
		t.Outcome, t.Bytes, t.TotalBytes = inventory.FileStopped, 0, 0
		err = errors.Join(err, fmt.Errorf("answered %d %s", t.Status, http.StatusText(t.Status)))
	case method == http.MethodHead, t.Status == http.StatusNotModified:
		t.Outcome = inventory.FileProbe
	case t.Bytes < t.TotalBytes:
		t.Outcome = inventory.FileStopped
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
	default:
		t.Outcome = inventory.FileDone
	}
	t.Err = err
	h.observer.Transferred(t)
}

func clientAddr(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr().Unmap()
}
