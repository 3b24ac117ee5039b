package hyperv

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"

	"ingot/hypervisor"
	"ingot/inventory"
)

const (
	// sliceBytes and sliceSeconds bound one call, so that a context that ends is heeded soon
	// and progress is told.
	sliceBytes   = 256 << 20
	sliceSeconds = 15
	// stuckMax is how many slices in a row may bring nothing.
	stuckMax = 3
	// moved is the script's fault for a file that changed while it was opened.
	moved = "Moved"
)

// EnsureImage implements hypervisor.Driver: the host fetches the image from Offer. A fetch
// that was cut goes on where it was.
func (d *Driver) EnsureImage(ctx context.Context, img hypervisor.Image, progress func(hypervisor.Progress)) error {
	if err := checkDigest(img); err != nil {
		return err
	}
	release, err := d.turns.Take(ctx, "image "+img.Digest)
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
	ask := pullRequest{URL: offer.URL, CertificateSHA256: strings.ReplaceAll(offer.CertificateSHA256, ":", ""), Folder: d.paths.images(), Partial: part, Lock: d.paths.imageLock(img.Digest),
		SizeBytes: a.SizeBytes, MaxBytes: sliceBytes, MaxSeconds: sliceSeconds}
	if err := d.pull(ctx, img, ask, progress); err != nil {
		return err
	}
	_, err = change(ctx, d, finishImage, "finish image "+img.Name, finishImageRequest{Partial: part, Image: d.paths.image(img.Digest), Lock: ask.Lock, SizeBytes: a.SizeBytes, SHA256: a.SHA256, DiskBytes: img.SizeBytes})
	return err
}

// pull fetches slice after slice. What came stays for the next attempt, unless the script
// knows that it would fail the same way.
func (d *Driver) pull(ctx context.Context, img hypervisor.Image, ask pullRequest, progress func(hypervisor.Progress)) error {
	for bytes, stuck := int64(-1), 0; ; {
		ask.Stuck = stuck == stuckMax-1
		told, err := change(ctx, d, pullImage, "fetch image "+img.Name, ask)
		if err != nil {
			return err
		}
		progress(hypervisor.Progress{Bytes: told.Bytes, TotalBytes: ask.SizeBytes})
		stuck++
		if told.Bytes > bytes {
			bytes, stuck = told.Bytes, 0
		}
		switch {
		case told.Bytes >= ask.SizeBytes:
			return nil
		case stuck == stuckMax || final(told.Fault):
			return fmt.Errorf("host %s fetched %d of %d bytes of image %s: %w", d.target.host, told.Bytes, ask.SizeBytes, img.Name, pullError(told, ask.URL))
		case told.Fault != "":
			err = pause(ctx, d.config.Every/pollsPerLook)
		}
		if err != nil {
			return err
		}
	}
}

// final are faults that are the same the next time; the script knows them too.
func final(fault string) bool {
	return fault == "TrustFailure" || fault == "NoRanges" || fault == "ProtocolError"
}

// unreached is a host that gets no connection to where this computer offers images.
type unreached struct{ address, port, fault string }

// Error implements error.
func (u unreached) Error() string {
	return fmt.Sprintf("the host can't connect to this computer at %s (%s), where it fetches images: open TCP %s in the firewall: %v",
		net.JoinHostPort(u.address, u.port), u.fault, u.port, inventory.ErrBusy)
}

// Try is what to do.
func (u unreached) Try() string {
	return fmt.Sprintf("open TCP %s in this computer's firewall for the host, and in the host's for the way out to %s", u.port, u.address)
}

// Unwrap is the class.
func (unreached) Unwrap() error { return inventory.ErrBusy }

// pullError says what a fault of the fetch from a URL means (System.Net.WebExceptionStatus).
func pullError(a pullAnswer, from string) error {
	if class, ok := hresults[uint32(a.HResult)]; ok {
		return fmt.Errorf("%s (0x%08X): %w", a.Fault, uint32(a.HResult), class)
	}
	switch a.Fault {
	case "TrustFailure":
		return fmt.Errorf("the certificate there is not ours, somebody is in between: %w", inventory.ErrDenied)
	case "ConnectFailure", "NameResolutionFailure", "Timeout":
		if u, err := url.Parse(from); err == nil {
			return unreached{u.Hostname(), u.Port(), a.Fault}
		}
	case "Short", "ReceiveFailure", "ConnectionClosed", "IOException", "SocketException":
		return fmt.Errorf("the transfer ended early again and again (%s): %w", a.Fault, inventory.ErrBusy)
	case moved:
		return fmt.Errorf("somebody else writes to the file that it is fetched to: %w", inventory.ErrBusy)
	}
	return fmt.Errorf("%s: %w", a.Fault, inventory.ErrBusy)
}
