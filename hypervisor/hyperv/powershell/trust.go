package powershell

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// dialTime is how long a connection may take to come about.
const dialTime = 15 * time.Second

// The errors of a certificate.
var (
	errThumbprint = errors.New("certificate is not the pinned one")
	errUntrusted  = errors.New("certificate is not trusted")
)

// howToCompare ends sentences about certificates: Windows's own windows show SHA-1.
const howToCompare = "compare it at the host: Get-ChildItem Cert:\\LocalMachine\\My | ForEach-Object { [BitConverter]::ToString([Security.Cryptography.SHA256]::Create().ComputeHash($_.RawData)) -replace '-' }"

// tlsConfig checks the host's certificate by pin or by authorities.
func (c WinRMConfig) tlsConfig() *tls.Config {
	host, _, _ := net.SplitHostPort(c.Host)
	config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		// Both ways are checked by VerifyConnection.
		InsecureSkipVerify: true,
		VerifyConnection:   func(s tls.ConnectionState) error { return c.verify(host, s.PeerCertificates) }}
	if c.Authentication == Certificate {
		// HTTP.sys asks for the client's certificate only when it has seen the URL, by a
		// renegotiation; TLS 1.3 has none that Go's client can answer.
		config.Certificates = []tls.Certificate{*c.Certificate}
		config.Renegotiation, config.MaxVersion = tls.RenegotiateOnceAsClient, tls.VersionTLS12
	}
	return config
}

// verify is the check of a chain that a host shows.
func (c WinRMConfig) verify(host string, chain []*x509.Certificate) error {
	leaf := chain[0]
	if c.Thumbprint != "" {
		if bare(thumbprint(leaf)) != bare(c.Thumbprint) {
			return fmt.Errorf("%w: it has the thumbprint %s; if the host's certificate was renewed, %s", errThumbprint, thumbprint(leaf), howToCompare)
		}
		return nil
	}
	options := x509.VerifyOptions{Roots: c.roots, DNSName: host, Intermediates: x509.NewCertPool()}
	for _, cert := range chain[1:] {
		options.Intermediates.AddCert(cert)
	}
	if _, err := leaf.Verify(options); err != nil {
		return fmt.Errorf("%w: %w; pin it with its thumbprint %s (%s)", errUntrusted, err, thumbprint(leaf), howToCompare)
	}
	return nil
}

// dial makes a connection with TLS; its errors are those of first contact.
func (c WinRMConfig) dial(ctx context.Context) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	plain, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.Host)
	if err != nil {
		return nil, lost{unreachable(c.Host, err)}
	}
	conn := tls.Client(plain, c.tlsConfig())
	if err := conn.HandshakeContext(ctx); err != nil {
		plain.Close()
		return nil, badTLS(c.Host, err)
	}
	return conn, nil
}

const adviceEnable = "is WinRM over HTTPS enabled there, and open in its firewall? As administrator: winrm quickconfig -transport:https"

// unreachable says what to look at when there is no connection.
func unreachable(host string, err error) error {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return fmt.Errorf("find %s: %w", host, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s refuses connections: %s: %w", host, adviceEnable, err)
	}
	return fmt.Errorf("no connection to %s: %s: %w", host, adviceEnable, err)
}

// badTLS says what a handshake failed of.
func badTLS(host string, err error) error {
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record):
		return fmt.Errorf("%s answers without TLS (5985 is WinRM's port for HTTP, %s the one for HTTPS): %s: %w", host, portHTTPS, adviceEnable, err)
	case errors.Is(err, errThumbprint), errors.Is(err, errUntrusted):
		return fmt.Errorf("%s: %w", host, err)
	}
	return lost{fmt.Errorf("TLS with %s (1.2 at least): %w", host, err)}
}
