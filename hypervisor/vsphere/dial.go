package vsphere

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vmware/govmomi/vim25/soap"

	"ingot/inventory"
)

// errThumbprint is a certificate that is not the one that was pinned.
var errThumbprint = errors.New("certificate is not the pinned one")

// pins is the certificate checks of a client: the server's pinned thumbprint, and those
// that the server itself told us of its hosts (for disk transfers, HttpNfcLeaseDeviceUrl's
// sslThumbprint). A host without one is checked with the system's CAs.
type pins struct {
	server, thumbprint string
	hosts              func(addr string) string
}

// dial is a DialTLSContext. govmomi's own takes any certificate that the system trusts
// even when another one is pinned, and it does not heed the context.
func (p pins) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	print := p.hosts(addr)
	if addr == p.server && p.thumbprint != "" {
		print = p.thumbprint
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if print != "" {
		config.InsecureSkipVerify = true
		config.VerifyConnection = func(s tls.ConnectionState) error { return matches(print, s.PeerCertificates[0]) }
	}
	return (&tls.Dialer{Config: config}).DialContext(ctx, network, addr)
}

// matches reports a certificate that a thumbprint is not of.
func matches(print string, cert *x509.Certificate) error {
	long, short := sha256.Sum256(cert.Raw), sha1.Sum(cert.Raw)
	bare := strings.ToLower(strings.ReplaceAll(print, ":", ""))
	if bare == hex.EncodeToString(long[:]) || bare == hex.EncodeToString(short[:]) {
		return nil
	}
	return fmt.Errorf("%w: it has the thumbprint %s", errThumbprint, soap.ThumbprintSHA256(cert))
}

// checkThumbprint reports one that can't be of any certificate.
func checkThumbprint(print string) error {
	raw, err := hex.DecodeString(strings.ReplaceAll(print, ":", ""))
	if err != nil || len(raw) != 0 && len(raw) != sha1.Size && len(raw) != sha256.Size {
		return inventory.Invalid("thumbprint %q (want SHA-256 or SHA-1 in hex)", print)
	}
	return nil
}
