package libvirt

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	lv "github.com/digitalocean/go-libvirt"

	"ingot/hypervisor"
	"ingot/hypervisor/drivertest"
	"ingot/inventory"
)

// TestBindingTakesTruncatedUpload keeps the reason why uploads are counted.
func TestBindingTakesTruncatedUpload(t *testing.T) {
	d, _ := needDaemon(t).ready(t, "truncated")
	p, err := d.pool(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.create(t.Context(), raw("truncated", 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer p.removeAll(t.Context(), "truncated")
	err = p.aside(t.Context(), func(own *link) error {
		return do(t.Context(), own, "upload", func(r *lv.Libvirt) error {
			return r.StorageVolUpload(v, strings.NewReader("13 characters"), 0, 1<<20, 0)
		})
	})
	t.Logf("libvirt and its binding say of an upload that was cut short: %v", err)
	if err := p.fill(t.Context(), v, strings.NewReader("13 characters"), 1<<20, strings.Repeat("0", 64), nil); err == nil || !strings.Contains(err.Error(), "13 bytes") {
		t.Errorf("fill said %v", err)
	}
}

// TestUploadIsReadBack damages what was stored before it is read back.
func TestUploadIsReadBack(t *testing.T) {
	host := needDaemon(t)
	d, image := host.open(t, "damaged"), needGolden(t)
	d.link.tamper = func(what string, do func() error) error {
		if strings.HasPrefix(what, "read back") {
			name := strings.TrimPrefix(what, "read back volume ")
			f, err := os.OpenFile(filepath.Join(host.dir, "pool", name), os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte("damage"), 100_000)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
		}
		return do()
	}
	if err := d.EnsureImage(t.Context(), image, nil); err == nil || !strings.Contains(err.Error(), "holds") {
		t.Errorf("ensure said %v", err)
	}
	if left := host.left(t); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// TestImageMustBeWhatItSays: a raw file, a qcow2 of another size, one that stands on a
// file of the host.
func TestImageMustBeWhatItSays(t *testing.T) {
	host := needDaemon(t)
	d := host.open(t, "liar")
	made := filepath.Join(t.TempDir(), "standing.qcow2")
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", made, "64M").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	standing, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*hypervisor.Image){
		"short": func(i *hypervisor.Image) { i.Open = opener([]byte("x")) },
		"raw":   func(i *hypervisor.Image) { i.Open = opener(bytes.Repeat([]byte("x"), 1<<20)) },
		"size":  func(i *hypervisor.Image) { i.SizeBytes++ },
		"elsewhere": func(i *hypervisor.Image) {
			i.Open = opener([]byte(headerMagic + "\x00\x00\x00\x03" + strings.Repeat("\x00", 71) + "\x04" + strings.Repeat("\x00", 1000)))
		},
		"standing": func(i *hypervisor.Image) { i.Open = opener(standing) },
	} {
		image := needGolden(t)
		change(&image)
		if err := d.EnsureImage(t.Context(), image, nil); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if left := host.left(t); len(left) > 0 {
			t.Errorf("%s left %q", name, left)
		}
	}
}

func opener(data []byte) func(context.Context, hypervisor.Format) (hypervisor.Artefact, error) {
	return func(context.Context, hypervisor.Format) (hypervisor.Artefact, error) {
		return drivertest.Artefact(data), nil
	}
}

// slow is content that comes for ever, a little at a time.
type slow struct {
	ctx  context.Context
	sent chan struct{}
}

func (s slow) Read(b []byte) (int, error) {
	select {
	case s.sent <- struct{}{}:
	case <-time.After(10 * time.Millisecond):
	}
	if s.ctx.Err() != nil {
		return 0, s.ctx.Err()
	}
	return min(len(b), 4096), nil
}

func (slow) ReadAt(b []byte, _ int64) (int, error) {
	return copy(b, headerMagic+strings.Repeat("\x00", len(b))), nil
}

func (slow) Close() error { return nil }

// TestUploadEndsWithContext cuts an upload, which leaves a half image that is not used,
// not listed, and taken away by RemoveImage or replaced by EnsureImage.
func TestUploadEndsWithContext(t *testing.T) {
	host := needDaemon(t)
	d, whole := host.open(t, "cut"), needGolden(t)
	endless, finish := context.WithCancel(context.Background())
	defer finish()
	for _, after := range []func() error{
		func() error { return d.RemoveImage(t.Context(), whole.Digest) },
		func() error { return d.EnsureImage(t.Context(), whole, nil) },
		func() error { return d.RemoveImage(t.Context(), whole.Digest) },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		sent := make(chan struct{})
		image := whole
		image.Open = func(context.Context, hypervisor.Format) (hypervisor.Artefact, error) {
			return hypervisor.Artefact{Content: slow{endless, sent}, SizeBytes: 1 << 30, SHA256: strings.Repeat("0", 64)}, nil
		}
		done := make(chan error, 1)
		go func() { done <- d.EnsureImage(ctx, image, nil) }()
		select {
		case <-sent:
			<-sent
			cancel()
		case err := <-done: // the third time it is whole
			done <- err
		}
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("ensure: %v", err)
		}
		cancel()
		if err := after(); err != nil {
			t.Error(err)
		}
	}
	if left := host.left(t); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}
