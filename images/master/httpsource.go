package master

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// HTTPSource is a [Source] that asks an HTTP server for byte ranges (RFC 9110
// section 14). Where the server gives an ETag, each range is asked for with If-Match, so
// that no answer is of a file with another layout.
type HTTPSource struct {
	// Client does the requests; nil is http.DefaultClient.
	Client *http.Client
	// URL is the address of the data file.
	URL string
	// Header is added to each request: the session token goes here. It is never
	// part of an error.
	Header http.Header
}

// Layout implements [Source]: it asks for the file's end.
func (s HTTPSource) Layout(ctx context.Context, m *Manifest) (*Layout, error) {
	table := make([]byte, m.SeekTableBytes())
	resp, err := s.ask(ctx, fmt.Sprintf("bytes=-%d", len(table)), "")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := checkStatus(resp, "its seek table"); err != nil {
		return nil, err
	}
	var first, last, total int64
	got := resp.Header.Get("Content-Range")
	if _, err := fmt.Sscanf(got, "bytes %d-%d/%d", &first, &last, &total); err != nil || last != total-1 || last-first+1 != int64(len(table)) {
		return nil, &PermanentError{fmt.Errorf("ask %s for image data: got range %q, asked for the last %d bytes", resp.Request.URL.Redacted(), got, len(table))}
	}
	if _, err := io.ReadFull(resp.Body, table); err != nil {
		return nil, fmt.Errorf("read seek table: %w", err)
	}
	l, err := ParseLayout(m, table)
	if err == nil && l.SizeBytes() != total {
		err = fmt.Errorf("the image data has %d bytes, its seek table says %d", total, l.SizeBytes())
	}
	if err != nil {
		return nil, &badTable{err}
	}
	l.etag = resp.Header.Get("ETag")
	return l, nil
}

// ReadRange implements [Source]. A status that a later request won't change
// (4xx but 408, 425 and 429) is a [*PermanentError], and so is a server which
// answers with another range than the one asked for.
func (s HTTPSource) ReadRange(ctx context.Context, l *Layout, offset, length int64) (io.ReadCloser, error) {
	resp, err := s.ask(ctx, fmt.Sprintf("bytes=%d-%d", offset, offset+length-1), l.etag)
	if err != nil {
		return nil, err
	}
	if err := checkRange(resp, offset, length); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

func (s HTTPSource) ask(ctx context.Context, ranges, etag string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return nil, &PermanentError{fmt.Errorf("ask for image data: %w", err)}
	}
	for key, values := range s.Header {
		req.Header[key] = values
	}
	req.Header.Set("Range", ranges)
	req.Header.Set("Accept-Encoding", "identity")
	if etag != "" {
		req.Header.Set("If-Match", etag)
	}
	client := s.Client
	if client == nil {
		client = http.DefaultClient
	}
	return client.Do(req)
}

func checkStatus(resp *http.Response, what string) error {
	switch code := resp.StatusCode; code {
	case http.StatusPartialContent:
		return nil
	case http.StatusPreconditionFailed:
		return fmt.Errorf("ask %s for image data: %w", resp.Request.URL.Redacted(), ErrMoved)
	default:
		err := fmt.Errorf("ask %s for image data, %s: %s", resp.Request.URL.Redacted(), what, resp.Status)
		if code == http.StatusRequestTimeout || code == http.StatusTooEarly || code == http.StatusTooManyRequests || code >= 500 {
			return err
		}
		return &PermanentError{err}
	}
}

func checkRange(resp *http.Response, offset, length int64) error {
	if err := checkStatus(resp, fmt.Sprintf("at %d", offset)); err != nil {
		return err
	}
	var first, last int64
	got := resp.Header.Get("Content-Range")
	if _, err := fmt.Sscanf(got, "bytes %d-%d/", &first, &last); err != nil || first != offset || last != offset+length-1 {
		return &PermanentError{fmt.Errorf("ask %s for image data: got range %q, asked for %d bytes at %d", resp.Request.URL.Redacted(), got, length, offset)}
	}
	return nil
}
