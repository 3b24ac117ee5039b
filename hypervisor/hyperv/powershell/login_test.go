package powershell_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ingot/hypervisor"
	"ingot/hypervisor/hyperv/powershell"
	"ingot/hypervisor/hyperv/winrmsim"
	"ingot/inventory"
)

// clientCertificate is a self-signed one.
func clientCertificate(t *testing.T) (*tls.Certificate, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ingot"}, NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, leaf
}

func TestLogin(t *testing.T) {
	certificate, leaf := clientCertificate(t)
	stranger, _ := clientCertificate(t)
	secret := func(s string) func() ([]byte, error) { return func() ([]byte, error) { return []byte(s), nil } }
	for name, test := range map[string]struct {
		options winrmsim.Options
		change  func(*powershell.WinRMConfig)
		want    string
	}{
		"NTLM":                     {winrmsim.Options{}, func(*powershell.WinRMConfig) {}, ""},
		"NTLM with strict binding": {winrmsim.Options{StrictBinding: true}, func(*powershell.WinRMConfig) {}, ""},
		"NTLM for each request":    {winrmsim.Options{LoginEachRequest: true}, func(*powershell.WinRMConfig) {}, ""},
		"NTLM of a domain":         {winrmsim.Options{}, func(c *powershell.WinRMConfig) { c.User = `CORP\Admin` }, ""},
		"NTLM, wrong password":     {winrmsim.Options{}, func(c *powershell.WinRMConfig) { c.Password = secret("wrong") }, "refuses to log in admin with ntlm (it offers: Negotiate): user or password is wrong"},
		"NTLM, wrong user":         {winrmsim.Options{}, func(c *powershell.WinRMConfig) { c.User = "root" }, "refuses to log in root"},
		"NTLM off":                 {winrmsim.Options{NoNegotiate: true, Basic: true}, func(*powershell.WinRMConfig) {}, "it does not take NTLM"},
		"Basic":                    {winrmsim.Options{Basic: true}, func(c *powershell.WinRMConfig) { c.Authentication = powershell.Basic }, ""},
		"Basic off":                {winrmsim.Options{}, func(c *powershell.WinRMConfig) { c.Authentication = powershell.Basic }, `winrm set winrm/config/service/auth @{Basic="true"}`},
		"certificate": {winrmsim.Options{ClientCertificates: []*x509.Certificate{leaf}}, func(c *powershell.WinRMConfig) {
			c.Authentication, c.Certificate, c.User, c.Password = powershell.Certificate, certificate, "", nil
		}, ""},
		"unknown certificate": {winrmsim.Options{ClientCertificates: []*x509.Certificate{leaf}}, func(c *powershell.WinRMConfig) {
			c.Authentication, c.Certificate = powershell.Certificate, stranger
		}, "the certificate is mapped to no local user"},
		"not allowed": {winrmsim.Options{Denied: true}, func(*powershell.WinRMConfig) {}, "Remote Management Users"},
		"no password to be had": {winrmsim.Options{}, func(c *powershell.WinRMConfig) {
			c.Password = func() ([]byte, error) { return nil, errors.New("store is sealed") }
		}, "password for admin: store is sealed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := serve(t, test.options)
			c := config(s)
			test.change(&c)
			w := over(t, s, c)
			for range 2 {
				err := echoes(t.Context(), w, `1`)
				denied := test.want != "" && !strings.Contains(test.want, "sealed")
				if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || errors.Is(err, inventory.ErrDenied) != denied || !errors.Is(err, powershell.ErrNotStarted)) {
					t.Errorf("got %v, want %q", err, test.want)
				}
			}
		})
	}
}

// A password that was refused is shown once, until there is another one or somebody asks.
func TestRefusedOnce(t *testing.T) {
	for _, how := range []powershell.Authentication{powershell.NTLM, powershell.Basic} {
		s, _ := serve(t, winrmsim.Options{Basic: true})
		c, secret := config(s), "wrong"
		c.Authentication, c.Password = how, func() ([]byte, error) { return []byte(secret), nil }
		w := over(t, s, c)
		for i, step := range []struct {
			secret  string
			forgive bool
			shown   int
		}{{"wrong", false, 1}, {"wrong", false, 1}, {"worse", false, 2}, {"worse", true, 3}, {"worse", false, 3}} {
			if secret = step.secret; step.forgive {
				w.Forgive()
			}
			if err := echoes(t.Context(), w, `1`); !errors.Is(err, inventory.ErrDenied) || s.Refusals() != step.shown {
				t.Errorf("%s, step %d: %v; shown %d times, want %d", how, i, err, s.Refusals(), step.shown)
			}
		}
		secret = password
		if err := echoes(t.Context(), w, `1`); err != nil {
			t.Errorf("%s, the right one: %v", how, err)
		}
	}
}

func TestConfig(t *testing.T) {
	good := powershell.WinRMConfig{Host: "host", User: "u", Password: func() ([]byte, error) { return nil, nil }}
	for name, change := range map[string]func(*powershell.WinRMConfig){
		"no host":         func(c *powershell.WinRMConfig) { c.Host = "" },
		"a URL":           func(c *powershell.WinRMConfig) { c.Host = "http://host:5985/wsman" },
		"no user":         func(c *powershell.WinRMConfig) { c.User = "" },
		"no password":     func(c *powershell.WinRMConfig) { c.Password = nil },
		"no certificate":  func(c *powershell.WinRMConfig) { c.Authentication = powershell.Certificate },
		"another way":     func(c *powershell.WinRMConfig) { c.Authentication = "kerberos" },
		"SHA-1":           func(c *powershell.WinRMConfig) { c.Thumbprint = strings.Repeat("AB", 20) },
		"no hexadecimals": func(c *powershell.WinRMConfig) { c.Thumbprint = strings.Repeat("XY", 32) },
	} {
		c := good
		change(&c)
		if _, err := powershell.OverWinRM(c); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if found := c.Contact(t.Context()); len(found) != 1 || found[0].Level != hypervisor.Failed {
			t.Errorf("%s: %+v", name, found)
		}
	}
	for _, host := range []string{"host", "host:1", "::1", "[::1]", "[::1]:5", "192.0.2.1"} {
		c := good
		c.Host = host
		w, err := powershell.OverWinRM(c)
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		w.Close()
	}
}

// Each step of first contact that fails is one finding that says what to do.
func TestContact(t *testing.T) {
	s, _ := serve(t, winrmsim.Options{})
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	page := httptest.NewTLSServer(http.RedirectHandler("/login", http.StatusFound))
	defer page.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	pages := x509.NewCertPool()
	pages.AddCert(page.Certificate())
	for name, test := range map[string]struct {
		change func(*powershell.WinRMConfig)
		steps  int
		want   string
	}{
		"all well":     {func(*powershell.WinRMConfig) {}, 4, "version 5.1"},
		"authorities":  {func(c *powershell.WinRMConfig) { c.Thumbprint = ""; *c = powershell.WithRoots(*c, roots) }, 4, "version 5.1"},
		"nobody there": {func(c *powershell.WinRMConfig) { c.Host = closed.Addr().String() }, 1, "connection refused → is WinRM over HTTPS enabled there, and open in its firewall? As administrator: winrm quickconfig -transport:https"},
		"no such name": {func(c *powershell.WinRMConfig) { c.Host = "host.invalid" }, 1, "correct the name"},
		"no TLS":       {func(c *powershell.WinRMConfig) { c.Host = plain.Listener.Addr().String() }, 2, "answers without TLS (5985 is WinRM's port for HTTP, 5986 the one for HTTPS)"},
		"unknown":      {func(c *powershell.WinRMConfig) { c.Thumbprint = "" }, 2, "pin it with its thumbprint " + colons(s.Thumbprint())},
		"another":      {func(c *powershell.WinRMConfig) { c.Thumbprint = strings.Repeat("ab", 32) }, 2, "not the pinned one: it has the thumbprint " + colons(s.Thumbprint())},
		"denied":       {func(c *powershell.WinRMConfig) { c.User = "nobody" }, 3, "refuses to log in nobody"},
		"another service": {func(c *powershell.WinRMConfig) {
			c.Host, c.Thumbprint = page.Listener.Addr().String(), ""
			*c = powershell.WithRoots(*c, pages)
		}, 3, "it answered an NTLM login with HTTP status 302"},
	} {
		c := config(s)
		test.change(&c)
		found := c.Contact(t.Context())
		last := found[len(found)-1]
		fails := test.want != "version 5.1"
		if len(found) != test.steps || (last.Level == hypervisor.Failed) != fails || (last.Try == "") == fails || !strings.Contains(last.Detail+" → "+last.Try, test.want) {
			t.Errorf("%s: got %+v\nwant %d steps and %q", name, found, test.steps, test.want)
		}
	}
	if s.Shells() != 0 {
		t.Error("a shell is left over")
	}
}

func colons(hex string) string {
	var pairs []string
	for i := 0; i < len(hex); i += 2 {
		pairs = append(pairs, hex[i:i+2])
	}
	return strings.Join(pairs, ":")
}

// The password is in no log, no error and no finding; nor is a request.
func TestSecretsAreNotTold(t *testing.T) {
	var told bytes.Buffer
	for _, test := range []struct {
		secret string
		how    powershell.Authentication
	}{{password, powershell.NTLM}, {"wrong horse", powershell.NTLM}, {password, powershell.Basic}, {"wrong horse", powershell.Basic}} {
		s, _ := serve(t, winrmsim.Options{Basic: true})
		c := config(s)
		c.Authentication, c.Password = test.how, func() ([]byte, error) { return []byte(test.secret), nil }
		c.Log = slog.New(slog.NewJSONHandler(&told, &slog.HandlerOptions{Level: slog.LevelDebug}))
		w := over(t, s, c)
		for _, script := range []powershell.Script{echo, fail, died} {
			_, err := w.Run(t.Context(), script, []byte(`{"password":"horse"}`))
			fmt.Fprintf(&told, "%v %+v", err, c)
		}
		fmt.Fprintf(&told, "%+v %+v", c.Contact(t.Context()), s.Requests())
	}
	if strings.Contains(told.String(), "horse") || !strings.Contains(told.String(), "noise") {
		t.Errorf("told:\n%s", told.String())
	}
}
