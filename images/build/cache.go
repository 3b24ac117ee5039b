package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"ingot/inventory"
)

// cache keeps downloaded files by their SHA-256, and the lists of archives.
type cache struct{ dir string }

const (
	downloadsAtOnce  = 4
	downloadAttempts = 3
)

func (c cache) path(sha string) string { return filepath.Join(c.dir, "sha256", sha[:2], sha) }

// has reports whether a file is there, with the right size; negative is any.
func (c cache) has(sha string, size int64) bool {
	info, err := os.Stat(c.path(sha))
	return err == nil && info.Mode().IsRegular() && (size < 0 || info.Size() == size)
}

// verify returns a file's path after reading it: what a disk spoiled since is
// removed, and not there.
func (c cache) verify(sha string) (string, error) {
	f, err := os.Open(c.path(sha))
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sha {
		return "", errors.Join(fmt.Errorf("cached file %s has digest %s: %w", c.path(sha), got, fs.ErrNotExist), os.Remove(c.path(sha)))
	}
	return c.path(sha), nil
}

// put stores what a reader gives, if it has the digest that is wanted; an empty one is
// any. Nothing is left of another.
func (c cache) put(r io.Reader, want string) (sha string, err error) {
	temp := filepath.Join(c.dir, "tmp")
	if err := os.MkdirAll(temp, 0o755); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(temp, "get-")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, h), r); err != nil {
		return "", err
	}
	sha = hex.EncodeToString(h.Sum(nil))
	if want != "" && sha != want {
		return "", fmt.Errorf("its SHA-256 is %s, want %s", sha, want)
	}
	if err := os.MkdirAll(filepath.Dir(c.path(sha)), 0o755); err != nil {
		return "", err
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync(), os.Rename(f.Name(), c.path(sha))); err != nil {
		return "", err
	}
	return sha, f.Close()
}

// fetch downloads the packages that are not there.
func (c cache) fetch(ctx context.Context, list []Package) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(downloadsAtOnce)
	for _, p := range list {
		if c.has(p.SHA256, p.SizeBytes) {
			continue
		}
		g.Go(func() error {
			if err := c.download(ctx, p.URL, p.SHA256); err != nil {
				return fmt.Errorf("download package %s %s: %w", p.Name, p.Version, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// download gets one file, with some patience for a mirror.
func (c cache) download(ctx context.Context, url, sha string) error {
	for attempt := 1; ; attempt++ {
		err := c.downloadOnce(ctx, url, sha)
		if err == nil || ctx.Err() != nil || attempt == downloadAttempts {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(attempt) * time.Second):
		}
	}
}

func (c cache) downloadOnce(ctx context.Context, url, sha string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return inventory.NotFound("file of the archive", url)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", url, resp.Status)
	}
	if _, err := c.put(resp.Body, sha); err != nil {
		return fmt.Errorf("get %s: %w", url, err)
	}
	return nil
}
