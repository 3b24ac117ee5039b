package images

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"ingot/images/master"
	"ingot/inventory"
)

// Limits of a download.
const (
	downloadRedirects = 5
	downloadTries     = 8 // in a row without a byte
	downloadStall     = 60 * time.Second
	downloadPause     = 2 * time.Second
)

func isURL(path string) bool {
	return strings.HasPrefix(path, "http://") || strings.HasPrefix(path, "https://")
}

// publicURL is a URL without what may be secret: user, password, query.
func publicURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "the URL"
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// download fetches a file over HTTP, and goes on where a connection was cut (RFC 9110
// sections 13.1.5 and 14).
type download struct {
	client   *http.Client  // nil is one with limits
	pause    time.Duration // 0 is downloadPause
	progress func(done, total int64)
}

// newDownloadClient bounds what a server can make us wait for and where it can send us.
func newDownloadClient() *http.Client {
	dialer := &net.Dialer{Timeout: 15 * time.Second}
	return &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSHandshakeTimeout: 15 * time.Second,
			ResponseHeaderTimeout: 30 * time.Second, DisableCompression: true, ForceAttemptHTTP2: true},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > downloadRedirects {
				return inventory.Invalid("more than %d redirects", downloadRedirects)
			}
			if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
				return inventory.Invalid("the server redirects from https to %s", req.URL.Scheme)
			}
			return nil
		}}
}

// fetch writes what is at a URL to a new file and checks its hash, if one is given.
func (d download) fetch(ctx context.Context, address, path string, want master.Digest) error {
	if d.client == nil {
		d.client = newDownloadClient()
		defer d.client.CloseIdleConnections()
	}
	if d.pause == 0 {
		d.pause = downloadPause
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	p := &partial{out: out, sum: sha256.New(), progress: d.progress}
	if err := errors.Join(d.try(ctx, address, p), out.Close()); err != nil {
		return err
	}
	if got := master.Digest(p.sum.Sum(nil)); !want.IsZero() && got != want {
		return inventory.Invalid("its SHA-256 is %s, want %s: it was changed or cut short on the way", got, want)
	}
	return nil
}

// partial is what came so far.
type partial struct {
	out      *os.File
	sum      hash.Hash
	at       int64
	total    int64  // 0 when not known
	version  string // the validator for If-Range; "" when there is none
	progress func(done, total int64)
}

func (d download) try(ctx context.Context, address string, p *partial) error {
	for tries := 0; ; tries++ {
		before := p.at
		err := d.more(ctx, address, p)
		if err == nil || ctx.Err() != nil || errors.Is(err, inventory.ErrInvalid) || errors.Is(err, errKeep) {
			return errors.Join(err, ctx.Err())
		}
		if p.at > before {
			tries = 0
		}
		if tries+1 >= downloadTries {
			return fmt.Errorf("download: given up after %d tries in a row: %w", downloadTries, err)
		}
		timer := time.NewTimer(d.pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// more asks for what is missing.
func (d download) more(ctx context.Context, address string, p *partial) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return inventory.Invalid("the URL is not valid") // its text may hold a password
	}
	if p.at > 0 && p.version != "" {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", p.at))
		req.Header.Set("If-Range", p.version)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		var at *url.Error
		if errors.As(err, &at) {
			err = at.Err // without the URL
		}
		return err
	}
	defer resp.Body.Close()
	if err := p.begin(resp); err != nil {
		return err
	}
	stall := time.AfterFunc(downloadStall, cancel)
	defer stall.Stop()
	return p.read(resp.Body, func() { stall.Reset(downloadStall) })
}

// begin looks at an answer's head: the rest of the file, or all of it again.
func (p *partial) begin(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusPartialContent:
		var first, last, total int64
		if n, _ := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &total); n < 3 || first != p.at || p.at == 0 || last != total-1 || p.total > 0 && total != p.total {
			return inventory.Invalid("the server answers with range %q to a request for all from %d", resp.Header.Get("Content-Range"), p.at)
		}
		p.total = total
		return nil
	case code == http.StatusOK:
		if err := p.restart(); err != nil {
			return err
		}
		p.total = max(resp.ContentLength, 0)
		p.version = validator(resp.Header)
		return nil
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500:
		return fmt.Errorf("the server says %s", resp.Status)
	}
	return inventory.Invalid("the server says %s", resp.Status)
}

// validator is what names the version of a file for sure: a strong ETag, or a date.
func validator(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return h.Get("Last-Modified")
}

func (p *partial) restart() error {
	p.at = 0
	p.sum.Reset()
	if err := p.out.Truncate(0); err != nil {
		return &keepError{err}
	}
	return nil
}

// errKeep is in the error about a file that can't be written: trying again is no use.
var errKeep = errors.New("write the download")

type keepError struct{ err error }

func (e *keepError) Error() string   { return errKeep.Error() + ": " + e.err.Error() }
func (e *keepError) Unwrap() []error { return []error{errKeep, e.err} }

func (p *partial) read(body io.Reader, alive func()) error {
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			alive()
			if _, err := p.out.WriteAt(buf[:n], p.at); err != nil {
				return &keepError{err}
			}
			p.sum.Write(buf[:n])
			p.at += int64(n)
			if p.progress != nil {
				p.progress(p.at, p.total)
			}
		}
		switch {
		case err == io.EOF && p.total > 0 && p.at < p.total:
			return io.ErrUnexpectedEOF
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}
