package agentapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"ingot/inventory"
)

// Client is the agent's side. The zero Token is right before Hello.
type Client struct {
	// Base is "https://server:port".
	Base string
	HTTP *http.Client
	// Token is set by Hello.
	Token string
}

// NewClient returns a client that trusts the pinned key alone.
func NewClient(base, pin string) *Client {
	return &Client{Base: base, HTTP: &http.Client{Transport: &http.Transport{
		TLSClientConfig: PinnedTLS(pin), TLSHandshakeTimeout: 15 * time.Second, MaxIdleConnsPerHost: 4,
		ResponseHeaderTimeout: PollTimeout + 15*time.Second,
	}}}
}

// FinalError is an answer that asking again won't change.
type FinalError struct{ Reason string }

func (e *FinalError) Error() string { return e.Reason }

// Hello opens the session.
func (c *Client) Hello(ctx context.Context, h Hello) (Welcome, error) {
	var w Welcome
	err := c.call(ctx, http.MethodPost, PathHello, h, &w)
	if err == nil {
		c.Token = w.Token
	}
	return w, err
}

// Facts sends what the machine has.
func (c *Client) Facts(ctx context.Context, f *inventory.Facts) error {
	return c.call(ctx, http.MethodPost, PathFacts, f, nil)
}

// Order waits up to PollTimeout for something to do. done is the generation whose
// report was sent, 0 for none.
func (c *Client) Order(ctx context.Context, done int64) (Order, error) {
	var o Order
	err := c.call(ctx, http.MethodGet, PathOrder+"?done="+url.QueryEscape(strconv.FormatInt(done, 10)), nil, &o)
	return o, err
}

// Beat tells that the agent lives, and how far it is.
func (c *Client) Beat(ctx context.Context, b Beat) error {
	return c.call(ctx, http.MethodPost, PathBeat, b, nil)
}

// Report tells how an order ended.
func (c *Client) Report(ctx context.Context, r inventory.Report) error {
	return c.call(ctx, http.MethodPost, PathReport, r, nil)
}

// Log appends text to the machine's log.
func (c *Client) Log(ctx context.Context, text []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+PathLog, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("send log: %w", err)
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	return c.do(req, nil)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode %s: %w", path, err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, body)
	if err != nil {
		return fmt.Errorf("call %s: %w", path, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.do(req, out)
}

func (c *Client) do(req *http.Request, out any) error {
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("call server: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBodyBytes))
	if err != nil {
		return fmt.Errorf("read answer of %s: %w", req.URL.Path, err)
	}
	if resp.StatusCode/100 != 2 {
		return problem(req.URL.Path, resp.StatusCode, data)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("read answer of %s: %w", req.URL.Path, err)
	}
	return nil
}

// ErrSession: the server does not know the token; say hello again.
var ErrSession = errors.New("session is not known")

func problem(path string, status int, data []byte) error {
	var p Problem
	if json.Unmarshal(data, &p) != nil || p.Error == "" {
		p.Error = http.StatusText(status)
	}
	if status == http.StatusUnauthorized {
		return fmt.Errorf("%s: %s: %w", path, p.Error, ErrSession)
	}
	if p.Final {
		return &FinalError{Reason: p.Error}
	}
	return fmt.Errorf("%s: server says %d: %s", path, status, p.Error)
}
