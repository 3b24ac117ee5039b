package libvirt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"sync"

	lv "github.com/digitalocean/go-libvirt"
)

// counted is a reader or writer that counts and hashes, until it is stopped: the binding
// may go on reading after its call has returned. It deadlocks when a writer of its fails,
// so this one never does.
type counted struct {
	from io.Reader

	mu      sync.Mutex
	sum     hash.Hash
	n       int64
	err     error
	tell    func(int64)
	stopped bool
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return 0, io.ErrClosedPipe
	}
	if err != nil && err != io.EOF {
		c.err = err
	}
	c.add(b[:n])
	return n, err
}

func (c *counted) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped {
		c.add(b)
	}
	return len(b), nil
}

func (c *counted) add(b []byte) {
	c.sum.Write(b)
	c.n += int64(len(b))
	if c.tell != nil && len(b) > 0 {
		c.tell(c.n)
	}
}

// stop ends it, and returns how many bytes there were, their SHA-256, and the reader's error.
func (c *counted) stop() (n int64, sha string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	return c.n, hex.EncodeToString(c.sum.Sum(nil)), c.err
}

// fill sends content to a volume and reads it back. The binding says nothing when the
// content ends early, so that is counted here, and hashed on both ways.
func (p pool) fill(ctx context.Context, v lv.StorageVol, content io.Reader, size int64, sha string, tell func(int64)) error {
	if err := p.send(ctx, v, &counted{from: content, sum: sha256.New(), tell: tell}, size, sha); err != nil {
		return err
	}
	return p.verify(ctx, v, size, sha)
}

// send uploads, and allows neither more nor less nor other bytes than were announced.
func (p pool) send(ctx context.Context, v lv.StorageVol, content *counted, size int64, sha string) error {
	what := "upload to volume " + v.Name
	err := p.stream(ctx, what, func(r *lv.Libvirt) error {
		return r.StorageVolUpload(v, io.LimitReader(content, size+1), 0, uint64(size), 0)
	})
	n, sum, readErr := content.stop()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("libvirt: %s: %w", what, ctx.Err())
	case readErr != nil:
		return fmt.Errorf("libvirt: %s: %w", what, readErr)
	case err != nil && n <= size:
		return err
	case n != size:
		return fmt.Errorf("libvirt: %s: content of %d bytes, %d were announced", what, n, size)
	case sum != sha:
		return fmt.Errorf("libvirt: %s: SHA-256 of the content is %s, %s was announced", what, sum, sha)
	}
	return err
}

// verify reads a volume whole and compares.
func (p pool) verify(ctx context.Context, v lv.StorageVol, size int64, sha string) error {
	got := &counted{sum: sha256.New()}
	err := p.stream(ctx, "read back volume "+v.Name, func(r *lv.Libvirt) error { return r.StorageVolDownload(v, got, 0, 0, 0) })
	n, sum, _ := got.stop()
	if err == nil && (n != size || sum != sha) {
		return fmt.Errorf("libvirt: volume %s holds %d bytes with SHA-256 %s, sent were %d with %s", v.Name, n, sum, size, sha)
	}
	return err
}

// stream makes a call with a stream on a connection of its own, which ends with it or with
// ctx.
func (l *link) stream(ctx context.Context, what string, f func(*lv.Libvirt) error) error {
	one := newLink(streaming(l.dial), l.uri)
	one.tamper = l.tamper
	return one.alone(ctx, func(own *link) error { return do(ctx, own, what, f) })
}

// aside works on a connection of its own, so that what it does does not hold up other calls
// and can be cut.
func (l *link) aside(ctx context.Context, work func(*link) error) error {
	own := newLink(l.dial, l.uri)
	own.tamper = l.tamper
	return own.alone(ctx, work)
}

// alone works on this link and closes it.
func (l *link) alone(ctx context.Context, work func(*link) error) error {
	defer l.close()
	s, err := l.session(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, s.close)
	defer stop()
	return work(l)
}
