package api

import (
	"context"
	"net/http"

	"ingot/inventory"
)

// BootSetBuild asks for a set of boot files from what there is now.
type BootSetBuild struct {
	// Refresh asks the mirror for newer packages.
	Refresh bool `json:"refresh,omitempty"`
	// Untested gives it to machines without a boot test.
	Untested bool `json:"untested,omitempty"`
}

// BootSetTest asks for boot tests of a set: the newest one when none is named, in all modes
// of the server's when none is given.
type BootSetTest struct {
	Set   string   `json:"set,omitempty"`
	Modes []string `json:"modes,omitempty"`
	// Promote gives it to machines when it passes.
	Promote bool `json:"promote,omitempty"`
}

// BootSetRollback gives machines the set before, or the one that is named.
type BootSetRollback struct {
	Set string `json:"set,omitempty"`
}

// BootSets lists the sets of boot files, the newest first.
func (c *Client) BootSets(ctx context.Context) (s []inventory.BootSet, err error) {
	return s, c.call(ctx, http.MethodGet, "/bootsets", nil, &s)
}

// BuildBootSet has the server build and test a set; f is told of the progress. What failed
// its test says so in its Tests.
func (c *Client) BuildBootSet(ctx context.Context, in BootSetBuild, f func(WorkLine)) (inventory.BootSet, error) {
	return c.bootSet(ctx, "/bootsets/build", in, f)
}

// TestBootSet has the server boot a set; f is told of the progress.
func (c *Client) TestBootSet(ctx context.Context, in BootSetTest, f func(WorkLine)) (inventory.BootSet, error) {
	return c.bootSet(ctx, "/bootsets/test", in, f)
}

func (c *Client) bootSet(ctx context.Context, path string, in any, f func(WorkLine)) (inventory.BootSet, error) {
	last, err := c.lines(ctx, path, in, f)
	if err != nil {
		return inventory.BootSet{}, err
	}
	if last.BootSet == nil {
		return inventory.BootSet{}, errNoResult
	}
	return *last.BootSet, nil
}

// RollbackBootSet gives machines an earlier set.
func (c *Client) RollbackBootSet(ctx context.Context, in BootSetRollback) (s inventory.BootSet, err error) {
	return s, c.call(ctx, http.MethodPost, "/bootsets/rollback", in, &s)
}
