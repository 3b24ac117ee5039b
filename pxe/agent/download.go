package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Limits of a download.
const (
	// downloadTries bounds the attempts; the server may be restarting.
	downloadTries = 30
	// stallWait is how long a transfer may stand still before it is cut.
	stallWait = 20 * time.Second
)

// fetcher fetches small files whole into memory.
type fetcher struct {
	client *http.Client
	// pause is between two attempts.
	pause time.Duration
}

// refusal is an answer that asking again won't change.
type refusal struct{ url, status string }

func (r *refusal) Error() string { return fmt.Sprintf("fetch %s: server says %s", r.url, r.status) }

// get returns the body of a URL, of at most limit bytes. What was cut is asked for again
// from where it stopped. An answer of 400 to 499 is a *refusal at once.
func (f fetcher) get(ctx context.Context, url string, limit int64) ([]byte, error) {
	return f.try(ctx, want{url: url, limit: limit})
}

// span returns a part of what is at a URL, in the same way.
func (f fetcher) span(ctx context.Context, url string, offset, sizeBytes int64) ([]byte, error) {
	return f.try(ctx, want{url: url, limit: sizeBytes, part: true, offset: offset})
}

// want is what is to be fetched: at most limit bytes, or just those from offset.
type want struct {
	url    string
	limit  int64
	part   bool
	offset int64
}

// header is the range that is missing when got bytes are there; "" for all.
func (w want) header(got int) string {
	from := w.offset + int64(got)
	switch {
	case w.part:
		return fmt.Sprintf("bytes=%d-%d", from, w.offset+w.limit-1)
	case got > 0:
		return fmt.Sprintf("bytes=%d-", from)
	}
	return ""
}

func (f fetcher) try(ctx context.Context, w want) ([]byte, error) {
	var got []byte
	var err error
	for range downloadTries {
		if got, err = f.more(ctx, w, got); err == nil {
			return got, nil
		}
		var no *refusal
		if errors.As(err, &no) || errors.Is(err, errTooLarge) {
			return nil, err
		}
		if serr := sleep(ctx, f.pause); serr != nil {
			return nil, errors.Join(serr, err)
		}
	}
	return nil, err
}

var errTooLarge = errors.New("too large")

// more asks for what comes after got, and returns it all.
func (f fetcher) more(ctx context.Context, w want, got []byte) ([]byte, error) {
	url := w.url
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return got, fmt.Errorf("fetch %s: %w", url, err)
	}
	if part := w.header(len(got)); part != "" {
		req.Header.Set("Range", part)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return got, fmt.Errorf("fetch: %w", err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusOK && w.part:
		return nil, &refusal{url, resp.Status + " to a request for a part"}
	case resp.StatusCode == http.StatusOK:
		got = got[:0]
	case resp.StatusCode == http.StatusPartialContent && (w.part || len(got) > 0):
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return nil, fmt.Errorf("fetch %s: the file changed meanwhile", url)
	case resp.StatusCode/100 == 4:
		return nil, &refusal{url, resp.Status}
	default:
		return got, fmt.Errorf("fetch %s: server says %s", url, resp.Status)
	}
	return readBody(resp, got, w.limit, cancel)
}

// readBody appends a body to got. stalled cuts it.
func readBody(resp *http.Response, got []byte, limit int64, stalled func()) ([]byte, error) {
	url := resp.Request.URL
	if n := resp.ContentLength; n > 0 && int64(len(got))+n > limit {
		return nil, fmt.Errorf("fetch %s: %d bytes (want at most %d): %w", url, int64(len(got))+n, limit, errTooLarge)
	}
	if n := resp.ContentLength; n > 0 && int64(cap(got)-len(got)) < n {
		got = append(make([]byte, 0, int64(len(got))+n), got...)
	}
	timer := time.AfterFunc(stallWait, stalled)
	defer timer.Stop()
	for {
		if int64(len(got)) > limit {
			return nil, fmt.Errorf("fetch %s: more than %d bytes: %w", url, limit, errTooLarge)
		}
		if len(got) == cap(got) {
			got = append(got, 0)[:len(got)]
		}
		n, err := resp.Body.Read(got[len(got):cap(got)])
		got = got[:len(got)+n]
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, fmt.Errorf("fetch %s: after %d bytes: %w", url, len(got), err)
		}
		timer.Reset(stallWait)
	}
}
