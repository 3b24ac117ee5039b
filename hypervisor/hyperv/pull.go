package hyperv

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ingot/hypervisor"
	"ingot/hypervisor/hyperv/powershell"
	"ingot/inventory"
)

const (
	// sliceBytes and sliceSeconds bound one call, so that a context that ends is heeded soon
	// and progress is told.
	sliceBytes   = 256 << 20
	sliceSeconds = 15
	// stuckMax is how many slices in a row may bring nothing.
	stuckMax = 3
)

// EnsureImage implements hypervisor.Driver: the host fetches the image from Offer. A fetch
// that was cut goes on where it was.
func (d *Driver) EnsureImage(ctx context.Context, img hypervisor.Image, progress func(hypervisor.Progress)) error {
	if err := checkDigest(img); err != nil {
		return err
	}
	release, err := d.turns.take(ctx, "image "+img.Digest)
	if err != nil {
		return err
	}
	defer release()
	p, err := d.place(ctx)
	if err != nil {
		return err
	}
	if _, err := d.imageIn(p, img.Digest); err == nil {
		return nil
	}
	if d.config.Offer == nil {
		return fmt.Errorf("image %s: this computer offers the host nothing to fetch: %w", img.Name, inventory.ErrUnsupported)
	}
	if progress == nil {
		progress = func(hypervisor.Progress) {}
	}
	return d.bring(ctx, img, progress)
}

// bring opens the artefact, offers it, and has the host fetch it.
func (d *Driver) bring(ctx context.Context, img hypervisor.Image, progress func(hypervisor.Progress)) error {
	a, err := img.Open(ctx, hypervisor.VHDX)
	if err != nil {
		return fmt.Errorf("open image %s: %w", img.Name, err)
	}
	defer a.Content.Close()
	offer, withdraw, err := d.config.Offer(ctx, stem(img.Digest)+vhdx, a)
	if err != nil {
		return fmt.Errorf("offer image %s: %w", img.Name, err)
	}
	defer withdraw()
	part := d.paths.part(img.Digest, a.SHA256)
	ask := pullRequest{URL: offer.URL, CertificateSHA256: strings.ReplaceAll(offer.CertificateSHA256, ":", ""), Folder: d.paths.images(), Partial: part,
		SizeBytes: a.SizeBytes, MaxBytes: sliceBytes, MaxSeconds: sliceSeconds}
	if err := d.pull(ctx, img, ask, progress); err != nil {
		return err
	}
	_, err = call(ctx, d, finishImage, "finish image "+img.Name, finishImageRequest{Partial: part, Image: d.paths.image(img.Digest), SizeBytes: a.SizeBytes, SHA256: a.SHA256, DiskBytes: img.SizeBytes})
	if fault := (*powershell.Error)(nil); errors.As(err, &fault) {
		return errors.Join(err, d.dropImage(ctx, img.Digest))
	}
	return err
}

// pull fetches slice after slice. What can't be had whole is not kept.
func (d *Driver) pull(ctx context.Context, img hypervisor.Image, ask pullRequest, progress func(hypervisor.Progress)) error {
	for bytes, stuck := int64(-1), 0; ; {
		told, err := call(ctx, d, pullImage, "fetch image "+img.Name, ask)
		if err != nil {
			return err
		}
		progress(hypervisor.Progress{Bytes: told.Bytes, TotalBytes: ask.SizeBytes})
		if told.Bytes >= ask.SizeBytes {
			return nil
		}
		stuck++
		if told.Bytes > bytes {
			bytes, stuck = told.Bytes, 0
		}
		if stuck < stuckMax && !final(told.Fault) {
			if told.Fault != "" {
				err = pause(ctx, d.config.Every/pollsPerLook)
			}
			if err != nil {
				return err
			}
			continue
		}
		return errors.Join(fmt.Errorf("host %s fetched %d of %d bytes of image %s from %s: %w", d.target.host, told.Bytes, ask.SizeBytes, img.Name, ask.URL, pullError(told)),
			d.dropImage(ctx, img.Digest))
	}
}

// final are faults that are the same the next time.
func final(fault string) bool {
	return fault == "TrustFailure" || fault == "NoRanges" || fault == "ProtocolError"
}

// pullError says what a fault of the fetch means (System.Net.WebExceptionStatus).
func pullError(a pullAnswer) error {
	if class, ok := hresults[uint32(a.HResult)]; ok {
		return fmt.Errorf("%s (0x%08X): %w", a.Fault, uint32(a.HResult), class)
	}
	switch a.Fault {
	case "TrustFailure":
		return fmt.Errorf("the certificate there is not ours, somebody is in between: %w", inventory.ErrDenied)
	case "ConnectFailure", "NameResolutionFailure", "Timeout":
		return fmt.Errorf("the host can't reach this computer (%s): look at name, route and firewall: %w", a.Fault, inventory.ErrBusy)
	case "Short", "ReceiveFailure", "ConnectionClosed", "IOException", "SocketException":
		return fmt.Errorf("the transfer ended early again and again (%s): %w", a.Fault, inventory.ErrBusy)
	}
	return fmt.Errorf("%s: %w", a.Fault, inventory.ErrBusy)
}
