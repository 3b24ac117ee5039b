package daemon

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"ingot/hypervisor/drivertest"
	"ingot/inventory"
)

// fetch gets an offer as a host does: the certificate is the one that it was told, and TLS
// 1.2 is enough.
func fetch(t *testing.T, url, want, ranges string) (status int, text string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12,
		VerifyConnection: func(s tls.ConnectionState) error {
			if sum := sha256.Sum256(s.PeerCertificates[0].Raw); hex.EncodeToString(sum[:]) != want {
				return errors.New("another certificate")
			}
			return nil
		}}}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ranges != "" {
		req.Header.Set("Range", ranges)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestOffers: what is offered is there with ranges, under its name alone, until it is
// withdrawn; and a door that broke is opened again.
func TestOffers(t *testing.T) {
	cert, _, err := identity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o := newOffers(Machine{OfferPort: freePort(t)}, cert, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.run(ctx) }()
	host := inventory.Host{Name: "hv1", URL: "winrm+https://ingot@127.0.0.1"}
	offer, release, err := o.offer(t.Context(), host, "image.vhdx", drivertest.Artefact([]byte("an image")))
	if err != nil {
		t.Fatal(err)
	}
	if status, text := fetch(t, offer.URL, offer.CertificateSHA256, ""); status != http.StatusOK || text != "an image" {
		t.Errorf("got %d %q", status, text)
	}
	if status, text := fetch(t, offer.URL, offer.CertificateSHA256, "bytes=3-"); status != http.StatusPartialContent || text != "image" {
		t.Errorf("from 3 on: %d %q", status, text)
	}
	if status, _ := fetch(t, strings.Replace(offer.URL, "/offers/", "/offers/X", 1), offer.CertificateSHA256, ""); status != http.StatusNotFound {
		t.Errorf("under another key: %d", status)
	}
	o.breakDoor(t, "lo")
	again, releaseAgain, err := o.offer(t.Context(), host, "image.vhdx", drivertest.Artefact([]byte("an image")))
	if err != nil {
		t.Fatal(err)
	}
	defer releaseAgain()
	if status, _ := fetch(t, again.URL, again.CertificateSHA256, ""); status != http.StatusOK {
		t.Errorf("after the listener broke: %d", status)
	}
	release()
	if status, _ := fetch(t, offer.URL, offer.CertificateSHA256, ""); status != http.StatusNotFound {
		t.Errorf("withdrawn: %d", status)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// breakDoor breaks a listener and waits until that was noticed.
func (o *offers) breakDoor(t *testing.T, iface string) {
	t.Helper()
	there := func() *door {
		if err := o.turn.Acquire(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		defer o.turn.Release(1)
		return o.open[iface]
	}
	one := there()
	if one == nil || one.Close() != nil {
		t.Fatalf("no listener on %s", iface)
	}
	for there() != nil {
		if t.Context().Err() != nil {
			t.Fatal("nobody noticed")
		}
	}
}
