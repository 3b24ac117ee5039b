package master

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Source gives ranges of a data file. Implementations are safe for many calls at
// once. An error that trying again can't mend is a [*PermanentError].
type Source interface {
	// ReadRange returns length bytes from offset. A body that ends early is
	// seen by the reader, which asks again from where it ended.
	ReadRange(ctx context.Context, offset, length int64) (io.ReadCloser, error)
}

// PermanentError marks an error of a [Source] as one that trying again won't mend.
type PermanentError struct{ Err error }

func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *PermanentError) Unwrap() error { return e.Err }

// ReaderSource is a [Source] over a data file at hand.
type ReaderSource struct{ Data io.ReaderAt }

// ReadRange implements [Source].
func (s ReaderSource) ReadRange(_ context.Context, offset, length int64) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(s.Data, offset, length)), nil
}

// HTTPSource is a [Source] that asks an HTTP server for byte ranges (RFC 9110
// section 14).
type HTTPSource struct {
	// Client does the requests; nil is http.DefaultClient.
	Client *http.Client
	// URL is the address of the data file.
	URL string
	// Header is added to each request: the session token goes here. It is never
	// part of an error.
	Header http.Header
}

// ReadRange implements [Source]. A status that a later request won't change
// (4xx but 408, 425 and 429) is a [*PermanentError], and so is a server which
// answers with another range than the one asked for.
func (s HTTPSource) ReadRange(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return nil, &PermanentError{fmt.Errorf("ask for image data: %w", err)}
	}
	for key, values := range s.Header {
		req.Header[key] = values
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	req.Header.Set("Accept-Encoding", "identity")
	client := s.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if err := checkRange(resp, offset, length); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

func checkRange(resp *http.Response, offset, length int64) error {
	if resp.StatusCode != http.StatusPartialContent {
		err := fmt.Errorf("ask %s for image data at %d: %s", resp.Request.URL.Redacted(), offset, resp.Status)
		switch code := resp.StatusCode; {
		case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
			return err
		}
		return &PermanentError{err}
	}
	var first, last int64
	got := resp.Header.Get("Content-Range")
	if _, err := fmt.Sscanf(got, "bytes %d-%d/", &first, &last); err != nil || first != offset || last != offset+length-1 {
		return &PermanentError{fmt.Errorf("ask %s for image data: got range %q, asked for %d bytes at %d", resp.Request.URL.Redacted(), got, length, offset)}
	}
	return nil
}
