package libvirt

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	lv "github.com/digitalocean/go-libvirt"

	"ingot/hypervisor"
	"ingot/inventory"
)

// An image is a volume "ingot-DIGEST.SENDER.qcow2", and it is whole when there is an empty
// volume "ingot-DIGEST.SENDER.whole" beside it, made last and deleted first. The sender is
// part of the name so that two owners never write to one file, and so that each can tell
// its own remains from what the other is just sending; whoever finds a whole one uses it.
const (
	imageSuffix = ".qcow2"
	wholeSuffix = ".whole"
)

var imageName = regexp.MustCompile(`^ingot-([0-9a-f]{1,128})\.([0-9a-f]{12})\.(qcow2|whole)$`)

// atOnce is how many questions of one kind a call has under way together.
const atOnce = 8

// imageStem is what our copy of an image is called, without the suffix.
func (d *Driver) imageStem(digest string) (string, error) {
	hexDigits, err := digestHex(digest)
	if err != nil {
		return "", err
	}
	sender := sha256.Sum256([]byte(d.config.Owner))
	return "ingot-" + hexDigits + "." + hex.EncodeToString(sender[:6]), nil
}

func digestHex(digest string) (string, error) {
	algorithm, digits, _ := strings.Cut(digest, ":")
	if algorithm != "sha256" || !imageName.MatchString("ingot-"+digits+".000000000000.whole") {
		return "", inventory.Invalid("image digest %q", digest)
	}
	return digits, nil
}

// copies are the volumes of one image, by whether they are whole.
type copies struct{ whole, half []lv.StorageVol }

// images sorts the pool's volumes by image.
func (p pool) images(ctx context.Context) (map[string]copies, error) {
	all, err := p.volumes(ctx)
	if err != nil {
		return nil, err
	}
	whole := map[string]bool{}
	for _, v := range all {
		if m := imageName.FindStringSubmatch(v.Name); m != nil && m[3] == "whole" {
			whole[strings.TrimSuffix(v.Name, wholeSuffix)] = true
		}
	}
	found := map[string]copies{}
	for _, v := range all {
		m := imageName.FindStringSubmatch(v.Name)
		if m == nil || m[3] == "whole" {
			continue
		}
		c := found["sha256:"+m[1]]
		if whole[strings.TrimSuffix(v.Name, imageSuffix)] {
			c.whole = append(c.whole, v)
		} else {
			c.half = append(c.half, v)
		}
		found["sha256:"+m[1]] = c
	}
	return found, nil
}

// Images implements hypervisor.Driver.
func (d *Driver) Images(ctx context.Context) ([]string, error) {
	p, err := d.pool(ctx)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found, err := p.images(ctx)
	var digests []string
	for digest, c := range found {
		if len(c.whole) > 0 {
			digests = append(digests, digest)
		}
	}
	slices.Sort(digests)
	return digests, err
}

// EnsureImage implements hypervisor.Driver.
func (d *Driver) EnsureImage(ctx context.Context, image hypervisor.Image, progress func(hypervisor.Progress)) error {
	stem, err := d.imageStem(image.Digest)
	if err != nil {
		return err
	}
	release, err := d.begin(ctx, "image "+image.Digest)
	if err != nil {
		return err
	}
	defer release()
	p, err := d.needPool(ctx)
	if err != nil {
		return err
	}
	found, err := p.images(ctx)
	if err != nil || len(found[image.Digest].whole) > 0 {
		return err
	}
	if err := p.removeAll(ctx, stem+"."); err != nil {
		return err
	}
	if err := p.upload(ctx, stem, image, progress); err != nil {
		return fmt.Errorf("image %s: %w", image.Name, errors.Join(err, p.clear(ctx, stem+".")))
	}
	d.config.Log.Info("image is at the host", "image", image.Digest, "volume", stem+imageSuffix)
	return nil
}

// clearWithin is how long the remains of something that failed may take to go.
const clearWithin = 5 * time.Second

// clear removes what something that failed has left, also when its context has ended.
// What stays is cleared by the same call the next time.
func (p pool) clear(ctx context.Context, prefix string) error {
	if ctx.Err() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, clearWithin)
	defer cancel()
	return p.removeAll(ctx, prefix)
}

// upload sends an image, looks at what has come of it, and marks it as whole.
func (p pool) upload(ctx context.Context, stem string, image hypervisor.Image, progress func(hypervisor.Progress)) error {
	a, err := image.Open(ctx, hypervisor.QCOW2)
	if err != nil {
		return err
	}
	defer a.Content.Close()
	if err := checkHeader(a.Content); err != nil {
		return err
	}
	v, err := p.create(ctx, raw(stem+imageSuffix, a.SizeBytes))
	if err != nil {
		return err
	}
	var tell func(int64)
	if progress != nil {
		tell = func(n int64) { progress(hypervisor.Progress{Bytes: n, TotalBytes: a.SizeBytes}) }
	}
	if err := p.fill(ctx, v, a.Content, a.SizeBytes, a.SHA256, tell); err != nil {
		return err
	}
	if err := p.refresh(ctx); err != nil {
		return err
	}
	desc, err := p.describe(ctx, v)
	if err != nil {
		return err
	}
	if format(desc) != "qcow2" || desc.Capacity == nil || int64(desc.Capacity.Value) != image.SizeBytes || desc.BackingStore != nil {
		return inventory.Invalid("libvirt takes it for a %s disk of %d bytes, standing on %q; want qcow2 of %d bytes, standing alone",
			format(desc), capacity(desc), backing(desc), image.SizeBytes)
	}
	_, err = p.create(ctx, raw(stem+wholeSuffix, 0))
	return err
}

const (
	// headerMagic begins a qcow2 file; dataFile is bit 2 of its incompatible features, at
	// byte 72 of version 3 (QEMU's docs/interop/qcow2.txt).
	headerMagic   = "QFI\xfb"
	headerFeature = 72
	dataFile      = 1 << 2
)

// checkHeader refuses what is not qcow2, and a file whose data are in another file of the
// host: QEMU would open that, and libvirt does not look.
func checkHeader(content io.ReaderAt) error {
	header := make([]byte, headerFeature+8)
	if _, err := content.ReadAt(header, 0); err != nil || string(header[:4]) != headerMagic {
		return errors.Join(inventory.Invalid("it is not a qcow2 file"), err)
	}
	if binary.BigEndian.Uint32(header[4:]) >= 3 && binary.BigEndian.Uint64(header[headerFeature:])&dataFile != 0 {
		return inventory.Invalid("its data are in another file")
	}
	return nil
}
