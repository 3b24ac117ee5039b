package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"ingot/inventory"
)

// RolloutOrder asks for a version of an image on many machines.
type RolloutOrder struct {
	Image       string        `json:"image"`
	Set         string        `json:"set,omitempty" doc:"set of machines: KEY=VALUE terms joined by commas; empty is all that have the image"`
	Batch       int           `json:"batch"`
	Pause       time.Duration `json:"pause,omitempty"`
	MaxFailures int           `json:"maxFailures"`
	// Plan tells what would be done and does nothing.
	Plan bool `json:"plan,omitempty"`
}

// Rollout orders one, or plans it.
func (c *Client) Rollout(ctx context.Context, o RolloutOrder) (r inventory.Rollout, err error) {
	return r, c.call(ctx, http.MethodPost, "/rollouts", o, &r)
}

// Rollouts lists all, newest first.
func (c *Client) Rollouts(ctx context.Context) (rs []inventory.Rollout, err error) {
	return rs, c.call(ctx, http.MethodGet, "/rollouts", nil, &rs)
}

// RolloutOf returns one.
func (c *Client) RolloutOf(ctx context.Context, id string) (r inventory.Rollout, err error) {
	return r, c.call(ctx, http.MethodGet, "/rollouts/"+url.PathEscape(id), nil, &r)
}

// StopRollout ends one.
func (c *Client) StopRollout(ctx context.Context, id string) (r inventory.Rollout, err error) {
	return r, c.call(ctx, http.MethodPost, "/rollouts/"+url.PathEscape(id)+"/stop", nil, &r)
}
