package powershell

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"log/slog"
	"net"
	"strings"

	"ingot/inventory"
)

// Authentication is a way to log in over WinRM.
type Authentication string

// The ways to log in. All of them go over TLS that was verified.
const (
	// NTLM is "Negotiate" with NTLMv2, bound to the TLS channel. It works with local
	// users and with a domain's as Windows installs the service.
	NTLM Authentication = "ntlm"
	// Basic gives the host the password; it is off unless the host turned it on, and
	// works with local users only.
	Basic Authentication = "basic"
	// Certificate shows a client certificate that the host maps to a local user.
	Certificate Authentication = "certificate"
)

// WinRMConfig says how a computer is reached over WinRM. There is no way without TLS.
type WinRMConfig struct {
	// Host is a name or an address, with a port where that is not 5986.
	Host string
	// User is "user", "DOMAIN\user" or "user@domain".
	User string
	// Password is asked for at each login and kept nowhere.
	Password func() ([]byte, error) `json:"-"`
	// Authentication; empty is NTLM.
	Authentication Authentication
	// Certificate is shown for that authentication.
	Certificate *tls.Certificate `json:"-"`
	// Thumbprint pins the host's certificate: its SHA-256 in hex, with or without
	// colons. Empty asks the system's authorities.
	Thumbprint string
	// roots stand in for those in tests.
	roots *x509.CertPool
	// Log may be nil.
	Log *slog.Logger `json:"-"`
}

const portHTTPS = "5986"

// complete checks a configuration and fills in defaults.
func (c WinRMConfig) complete() (WinRMConfig, error) {
	c.Host = withPort(c.Host)
	c.Authentication = cmp.Or(c.Authentication, NTLM)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	host, _, err := net.SplitHostPort(c.Host)
	if err != nil || host == "" || strings.ContainsAny(c.Host, "/@ ") {
		return c, inventory.Invalid("WinRM host %q (want a name or an address, with a port if that is not %s)", c.Host, portHTTPS)
	}
	switch c.Authentication {
	case NTLM, Basic:
		if c.User == "" || c.Password == nil {
			return c, inventory.Invalid("WinRM %s: no user or no password", c.Host)
		}
	case Certificate:
		if c.Certificate == nil {
			return c, inventory.Invalid("WinRM %s: no client certificate", c.Host)
		}
	default:
		return c, inventory.Invalid("WinRM %s: authentication %q (want %s, %s or %s)", c.Host, c.Authentication, NTLM, Basic, Certificate)
	}
	return c, checkThumbprint(c.Thumbprint)
}

// withPort adds the port of WinRM over HTTPS to a host without one.
func withPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), portHTTPS)
}

// checkThumbprint reports one that can't be of any certificate.
func checkThumbprint(print string) error {
	raw, err := hex.DecodeString(bare(print))
	if err != nil || len(raw) != 0 && len(raw) != sha256.Size {
		return inventory.Invalid("thumbprint %q (want SHA-256 in hex; the one that Windows shows is SHA-1)", print)
	}
	return nil
}

func bare(print string) string { return strings.ToLower(strings.ReplaceAll(print, ":", "")) }

// thumbprint is a certificate's SHA-256, as it is written in a configuration.
func thumbprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	var b strings.Builder
	for i, c := range sum {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(strings.ToUpper(hex.EncodeToString([]byte{c})))
	}
	return b.String()
}
