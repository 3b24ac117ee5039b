package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"ingot/inventory"
)

// Client calls a server's API.
type Client struct {
	// Base is "http://host:port".
	Base  string
	Token string
	HTTP  *http.Client
}

// Version asks who answers.
func (c *Client) Version(ctx context.Context) (v Version, err error) {
	return v, c.call(ctx, http.MethodGet, "/version", nil, &v)
}

// Machines lists all machines.
func (c *Client) Machines(ctx context.Context) (ms []inventory.Machine, err error) {
	return ms, c.call(ctx, http.MethodGet, "/machines", nil, &ms)
}

// Machine returns one with its facts.
func (c *Client) Machine(ctx context.Context, name string) (m MachineDetail, err error) {
	return m, c.call(ctx, http.MethodGet, "/machines/"+url.PathEscape(name), nil, &m)
}

// Act carries out an action.
func (c *Client) Act(ctx context.Context, name string, a Action) (m inventory.Machine, err error) {
	return m, c.call(ctx, http.MethodPost, "/machines/"+url.PathEscape(name)+"/"+string(a), nil, &m)
}

// Deploy orders an image onto a machine.
func (c *Client) Deploy(ctx context.Context, name string, d Deploy) (m inventory.Machine, err error) {
	return m, c.call(ctx, http.MethodPost, "/machines/"+url.PathEscape(name)+"/deploy", d, &m)
}

// Delete takes a machine out of the inventory.
func (c *Client) Delete(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/machines/"+url.PathEscape(name), nil, nil)
}

// Why asks why a machine is where it is.
func (c *Client) Why(ctx context.Context, name string) (a Answer, err error) {
	return a, c.call(ctx, http.MethodGet, "/machines/"+url.PathEscape(name)+"/why", nil, &a)
}

// Log copies a machine's log to w; with follow until ctx ends.
func (c *Client) Log(ctx context.Context, name string, follow bool, w io.Writer) error {
	resp, err := c.open(ctx, http.MethodGet, "/machines/"+url.PathEscape(name)+"/log?follow="+strconv.FormatBool(follow), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil && ctx.Err() == nil {
		return fmt.Errorf("read log: %w", err)
	}
	return nil
}

// EventOptions choose events.
type EventOptions struct {
	Machine string
	After   int64
	Limit   int
	Follow  bool
}

// Events calls f for each event; with Follow until ctx ends or f returns an error.
func (c *Client) Events(ctx context.Context, o EventOptions, f func(inventory.Event) error) error {
	q := url.Values{"machine": {o.Machine}, "after": {strconv.FormatInt(o.After, 10)}, "limit": {strconv.Itoa(o.Limit)},
		"follow": {strconv.FormatBool(o.Follow)}}
	return stream(ctx, c, http.MethodGet, "/events?"+q.Encode(), nil, f)
}

// Images lists all images.
func (c *Client) Images(ctx context.Context) (rows []ImageRow, err error) {
	return rows, c.call(ctx, http.MethodGet, "/images", nil, &rows)
}

// Image returns the one that a reference means.
func (c *Client) Image(ctx context.Context, ref string) (i inventory.Image, err error) {
	return i, c.call(ctx, http.MethodGet, "/images/"+url.PathEscape(ref), nil, &i)
}

func (c *Client) work(ctx context.Context, path string, in any, f func(WorkLine)) (inventory.Image, error) {
	last, err := c.lines(ctx, path, in, f)
	if err != nil || last.Image == nil {
		return inventory.Image{}, cmp.Or(err, errNoResult)
	}
	return *last.Image, nil
}

var errNoResult = errors.New("server ended the work without a result; see its log")

// lines has the server do long work, and returns its last line.
func (c *Client) lines(ctx context.Context, path string, in any, f func(WorkLine)) (last WorkLine, err error) {
	return last, stream(ctx, c, http.MethodPost, path, in, func(l WorkLine) error {
		switch {
		case l.Error != "":
			return errors.New(l.Error)
		case l.Image != nil || l.BootSet != nil || l.Shared != nil:
			last = l
		default:
			f(l)
		}
		return nil
	})
}

// Networks lists the networks.
func (c *Client) Networks(ctx context.Context) (ns []NetworkRow, err error) {
	return ns, c.call(ctx, http.MethodGet, "/networks", nil, &ns)
}

// PutNetwork adds or replaces a network.
func (c *Client) PutNetwork(ctx context.Context, n inventory.Network) error {
	return c.call(ctx, http.MethodPut, "/networks/"+url.PathEscape(n.Name), n, nil)
}

// DeleteNetwork takes a network out of the inventory.
func (c *Client) DeleteNetwork(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/networks/"+url.PathEscape(name), nil, nil)
}

// Addresses lists all leases, reservations and static addresses.
func (c *Client) Addresses(ctx context.Context) (as []inventory.Address, err error) {
	return as, c.call(ctx, http.MethodGet, "/leases", nil, &as)
}
