package libvirt

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// certificates writes a CA and a key pair signed by itself, as libvirt names the files, and
// returns the pair and the pool.
func certificates(t *testing.T, dir string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	for name, content := range map[string][]byte{"cacert.pem": cert, "clientcert.pem": cert, "clientkey.pem": private} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(cert, private)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return pair, pool
}

// TestTLS puts TLS before the daemon, as libvirtd has it when it listens itself: after the
// handshake it says by one byte that it takes the client's certificate.
func TestTLS(t *testing.T) {
	host := needDaemon(t)
	dir := t.TempDir()
	pair, pool := certificates(t, dir)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go relay(conn, host.socket)
		}
	}()
	c := host.config("tls")
	c.Socket, c.URL = "", "qemu+tls://"+listener.Addr().String()+"/session?pkipath="+dir
	d, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.List(t.Context()); err != nil {
		t.Error(err)
	}
	other := t.TempDir()
	certificates(t, other)
	c.URL = "qemu+tls://" + listener.Addr().String() + "/session?pkipath=" + other
	if _, err := Open(t.Context(), c); err == nil {
		t.Error("a host with another CA's certificate was taken")
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c.URL = "qemu+tls://" + silent.Addr().String() + "/session?pkipath=" + dir
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a host that says nothing: %v", err)
	}
}

func relay(conn net.Conn, socket string) {
	defer conn.Close()
	if _, err := conn.Write([]byte{1}); err != nil {
		return
	}
	daemon, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer daemon.Close()
	go io.Copy(daemon, conn)
	io.Copy(conn, daemon)
}
