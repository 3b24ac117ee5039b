package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"ingot/inventory"
)

const prefix = "/api/v1"

func (c *Client) open(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.Base, "/")+prefix+path, body)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", path, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.do(req)
}

// do sends a request; an answer that says no is a *StatusError.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	req.Header.Set("Authorization", "Bearer "+c.Token)
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		var at *url.Error
		if errors.As(err, &at) {
			err = at.Err // its URL is said already
		}
		return nil, fmt.Errorf("ingot serve can't be reached at %s (does it run? --server and INGOT_SERVER say where): %w", c.Base, err)
	}
	if resp.StatusCode/100 == 2 || resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readProblem(resp)
}

func readProblem(resp *http.Response) error {
	var p Problem
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // the status tells enough
	if json.Unmarshal(data, &p) != nil || p.Detail == "" {
		p.Detail = fmt.Sprintf("%s://%s is no API of ingot serve: it answers %s (--server and INGOT_SERVER say where it is)", resp.Request.URL.Scheme, resp.Request.URL.Host, resp.Status)
	}
	return &StatusError{Status: resp.StatusCode, Detail: p.Detail}
}

// StatusError is an answer that says no.
type StatusError struct {
	Status int
	Detail string
}

func (e *StatusError) Error() string { return e.Detail }

// Is makes errors.Is work with the inventory's classes across the wire.
func (e *StatusError) Is(target error) bool {
	class := map[int]error{404: inventory.ErrNotFound, 409: inventory.ErrConflict, 422: inventory.ErrInvalid, 400: inventory.ErrInvalid,
		423: inventory.ErrBusy, 501: inventory.ErrUnsupported, 401: inventory.ErrDenied, 403: inventory.ErrDenied}
	return class[e.Status] == target
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.open(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("read answer of %s: %w", path, err)
	}
	return nil
}

// maxLineBytes bounds one line of a stream.
const maxLineBytes = 4 << 20

// stream reads a body of JSON lines.
func stream[T any](ctx context.Context, c *Client, method, path string, in any, f func(T) error) error {
	resp, err := c.open(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	scan := bufio.NewScanner(resp.Body)
	scan.Buffer(nil, maxLineBytes)
	for scan.Scan() {
		var v T
		if err := json.Unmarshal(scan.Bytes(), &v); err != nil {
			return fmt.Errorf("read answer of %s: %w", path, err)
		}
		if err := f(v); err != nil {
			return err
		}
	}
	if err := scan.Err(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("read answer of %s: %w", path, err)
	}
	return ctx.Err()
}
