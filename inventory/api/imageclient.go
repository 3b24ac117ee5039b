package api

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"

	"ingot/inventory"
)

// Import has the server import a file; f is told of the progress.
func (c *Client) Import(ctx context.Context, in ImageImport, f func(WorkLine)) (inventory.Image, error) {
	return c.work(ctx, "/images/import", in, f)
}

// Build has the server build a recipe; f is told of the progress.
func (c *Client) Build(ctx context.Context, in ImageBuild, f func(WorkLine)) (inventory.Image, error) {
	return c.work(ctx, "/images/build", in, f)
}

// Test has the server boot an image; f is told of the progress. What came of it is in the
// image's Tests.
func (c *Client) Test(ctx context.Context, in ImageTest, f func(WorkLine)) (inventory.Image, error) {
	return c.work(ctx, "/images/test", in, f)
}

// Export has the server write an image to a file; f is told of the progress.
func (c *Client) Export(ctx context.Context, in ImageExport, f func(WorkLine)) (inventory.Image, error) {
	return c.work(ctx, "/images/export", in, f)
}

// Promote moves a channel to where another one points.
func (c *Client) Promote(ctx context.Context, in ImagePromote) (i inventory.Image, err error) {
	return i, c.call(ctx, http.MethodPost, "/images/promote", in, &i)
}

// Rollback moves a channel to where it pointed before.
func (c *Client) Rollback(ctx context.Context, in ImageRollback) (i inventory.Image, err error) {
	return i, c.call(ctx, http.MethodPost, "/images/rollback", in, &i)
}

// Sign has the server sign an image with its key.
func (c *Client) Sign(ctx context.Context, in ImageRefs) (i inventory.Image, err error) {
	return i, c.call(ctx, http.MethodPost, "/images/sign", in, &i)
}

// Verify checks an image's signatures: with the keys given, or those of the server.
func (c *Client) Verify(ctx context.Context, in ImageRefs) (s []ImageSigned, err error) {
	return s, c.call(ctx, http.MethodPost, "/images/verify", in, &s)
}

// Diff says what changed from Image to Other.
func (c *Client) Diff(ctx context.Context, in ImageRefs) (d ImageDiff, err error) {
	return d, c.call(ctx, http.MethodPost, "/images/diff", in, &d)
}

// Lint looks into an image of the server's.
func (c *Client) Lint(ctx context.Context, in ImageRefs) (f []LintFinding, err error) {
	return f, c.call(ctx, http.MethodPost, "/images/lint", in, &f)
}

// History is what a name's channels pointed to.
func (c *Client) History(ctx context.Context, name string) (h ImageHistory, err error) {
	return h, c.call(ctx, http.MethodGet, "/images/"+url.PathEscape(name)+"/history", nil, &h)
}

// Collect decides about each image, and takes away what can go.
func (c *Client) Collect(ctx context.Context, in ImageCollect) (d []ImageDecision, err error) {
	return d, c.call(ctx, http.MethodPost, "/images/gc", in, &d)
}

// Refresh looks at the bucket, or fetches an image from it, and says what is there; f is
// told of the progress.
func (c *Client) Refresh(ctx context.Context, in ImageRefresh, f func(WorkLine)) ([]ImageShared, error) {
	last, err := c.lines(ctx, "/images/refresh", in, f)
	if err != nil || last.Shared == nil {
		return nil, cmp.Or(err, errNoResult)
	}
	return last.Shared, nil
}

// Schedules lists what is done again and again.
func (c *Client) Schedules(ctx context.Context) (s []ScheduleRow, err error) {
	return s, c.call(ctx, http.MethodGet, "/schedules", nil, &s)
}

// RunSchedule has a schedule run as soon as it can.
func (c *Client) RunSchedule(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodPost, "/schedules/"+url.PathEscape(name)+"/run", nil, nil)
}

// ScheduleLog copies the log of a schedule's last run to w.
func (c *Client) ScheduleLog(ctx context.Context, name string, w io.Writer) error {
	resp, err := c.open(ctx, http.MethodGet, "/schedules/"+url.PathEscape(name)+"/log", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	return err
}
