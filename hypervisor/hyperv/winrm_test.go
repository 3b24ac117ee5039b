package hyperv_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ingot/hypervisor"
	"ingot/hypervisor/drivertest"
	"ingot/hypervisor/hyperv"
	"ingot/hypervisor/hyperv/sim"
	"ingot/hypervisor/hyperv/winrmsim"
	"ingot/inventory"
)

const winrmPassword = "correct horse: battery"

// overWinRM is a host behind a WinRM service, and how it is reached.
func overWinRM(t *testing.T, h *sim.Host, owner string) (*winrmsim.Server, hyperv.Config) {
	t.Helper()
	s := winrmsim.New(winrmsim.Options{Handler: winrmsim.PowerShell(h.Scripts), User: "ingot", Password: winrmPassword})
	t.Cleanup(s.Close)
	c := config(t, h, owner)
	c.Runner, c.URL, c.Thumbprint = nil, `winrm+https://HV1%5Cingot@`+s.Host(), s.Thumbprint()
	c.Password = func() ([]byte, error) { return []byte(winrmPassword), nil }
	return s, c
}

// The whole way: HTTPS with a pinned certificate, NTLM, WS-Management, the prelude's
// envelope, the scripts' requests and answers.
func TestOverWinRM(t *testing.T) {
	h := sim.New(sim.Options{})
	s, c := overWinRM(t, h, "winrm")
	d := opened(t, c)
	if err := d.EnsureImage(t.Context(), image(t), nil); err != nil {
		t.Fatal(err)
	}
	before := h.Left()
	machine := spec("m-1", "büro-日本 'a' \"b\"")
	machine.SecureBoot, machine.TPM, machine.Seed = true, true, []byte("seed")
	vm := create(t, d, machine)
	if vm.Name != machine.Name || !vm.SecureBoot || !vm.TPM || vm.Disks[0].SizeBytes != imageBytes {
		t.Errorf("made %+v", vm)
	}
	if _, err := d.Get(t.Context(), "m-none"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	h.Touch(imagePath())
	if err := d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Graceful); !errors.Is(err, inventory.ErrConflict) || !strings.Contains(err.Error(), "0xC03A000E") {
		t.Errorf("an error record on its way: %v", err)
	}
	if err := d.Delete(t.Context(), vm.ID); err != nil {
		t.Fatal(err)
	}
	if after := h.Left(); len(after) != len(before) {
		t.Errorf("left %q, before %q", after, before)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if n := s.Shells(); n > 0 {
		t.Errorf("%d shells are left open", n)
	}
}

func TestDiagnoseOverWinRM(t *testing.T) {
	h := sim.New(sim.Options{})
	_, c := overWinRM(t, h, "winrm")
	all, err := hyperv.Diagnose(t.Context(), c)
	if err != nil || len(all) < 11 {
		t.Errorf("%d findings, %v", len(all), err)
	}
	for _, f := range all {
		if f.Level != hypervisor.OK {
			t.Errorf("%+v", f)
		}
	}
	for name, test := range map[string]struct {
		change func(*hyperv.Config)
		what   string
	}{
		"no pin":    {func(c *hyperv.Config) { c.Thumbprint = "" }, "certificate"},
		"wrong pin": {func(c *hyperv.Config) { c.Thumbprint = strings.Repeat("00", 32) }, "certificate"},
		"password":  {func(c *hyperv.Config) { c.Password = func() ([]byte, error) { return []byte("wrong"), nil } }, "login"},
		"nobody":    {func(c *hyperv.Config) { c.URL = "winrm+https://ingot@127.0.0.1:1" }, "address"},
	} {
		bad := c
		test.change(&bad)
		all, err := hyperv.Diagnose(t.Context(), bad)
		last := all[len(all)-1]
		if err != nil || last.Level != hypervisor.Failed || last.What != test.what || last.Try == "" || strings.Contains(last.Detail, winrmPassword) {
			t.Errorf("%s: %+v, %v", name, last, err)
		}
		if _, err := hyperv.Open(t.Context(), bad); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// A password that was refused is shown once, whatever is called and how often; a check-up
// shows it once more, and lets the connection log in again when it is mended.
func TestRefusedPassword(t *testing.T) {
	h := sim.New(sim.Options{})
	s, c := overWinRM(t, h, "refused")
	var wrong atomic.Bool
	c.Password = func() ([]byte, error) {
		if wrong.Load() {
			return []byte("wrong"), nil
		}
		return []byte(winrmPassword), nil
	}
	d := opened(t, c)
	t.Cleanup(func() { d.Close() })
	wrong.Store(true)
	s.DropConnections()
	for range 3 {
		if _, err := d.List(t.Context()); !errors.Is(err, inventory.ErrDenied) {
			t.Errorf("list: %v", err)
		}
	}
	if n := s.Refusals(); n != 1 {
		t.Errorf("shown %d times, want once", n)
	}
	found, err := d.Check(t.Context())
	if last := found[len(found)-1]; err != nil || last.What != "login" || last.Level != hypervisor.Failed || s.Refusals() != 2 {
		t.Errorf("check found %+v, %v; shown %d times, want twice", last, err, s.Refusals())
	}
	wrong.Store(false)
	if _, err := d.List(t.Context()); err != nil {
		t.Errorf("with another password: %v", err)
	}
}

// The address says how WinRM logs in; what it says wrong is told before anybody is asked.
func TestWaysToLogIn(t *testing.T) {
	h := sim.New(sim.Options{})
	cert, key, leaf := clientCertificate(t)
	s := winrmsim.New(winrmsim.Options{Handler: winrmsim.PowerShell(h.Scripts), User: "ingot", Password: winrmPassword, Basic: true, NoNegotiate: true, ClientCertificates: []*x509.Certificate{leaf}})
	t.Cleanup(s.Close)
	c := config(t, h, "ways")
	c.Runner, c.Thumbprint = nil, s.Thumbprint()
	for address, test := range map[string]struct {
		secret string
		class  error
		want   string
	}{
		"ingot@HOST?auth=basic":                              {winrmPassword, nil, ""},
		"HOST?auth=certificate&cert=" + cert + "&key=" + key: {"", nil, ""},
		"ingot@HOST":      {winrmPassword, inventory.ErrDenied, "does not take NTLM"},
		"HOST?auth=basic": {winrmPassword, inventory.ErrInvalid, "no user or no password"},
		"HOST?auth=certificate&cert=" + key + "&key=" + key:            {"", inventory.ErrInvalid, "client certificate " + key},
		"HOST?auth=certificate&cert=" + cert + "&key=" + cert + ".not": {"", inventory.ErrInvalid, "no such file"},
		"HOST?auth=certificate&cert=cert.pem&key=" + key:               {"", inventory.ErrInvalid, "full paths"},
		"ingot@HOST?auth=kerberos":                                     {winrmPassword, inventory.ErrInvalid, "want ntlm, basic or certificate"},
	} {
		c.URL, c.Password = "winrm+https://"+strings.Replace(address, "HOST", s.Host(), 1), nil
		if test.secret != "" {
			c.Password = func() ([]byte, error) { return []byte(test.secret), nil }
		}
		d, err := hyperv.Open(t.Context(), c)
		if !errors.Is(err, test.class) || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %v with %q", address, err, test.class, test.want)
		}
		found, _ := hyperv.Diagnose(t.Context(), c)
		if last := found[len(found)-1]; (last.Level == hypervisor.Failed) != (test.class != nil) || !strings.Contains(last.Detail, test.want) {
			t.Errorf("%s: %+v", address, last)
		}
		if err == nil {
			d.Close()
		}
	}
}

// clientCertificate makes one in files.
func clientCertificate(t *testing.T) (cert, key string, leaf *x509.Certificate) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, form, form, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, leaf
}

// A host that can't be reached, or goes away, may be there again: that is ErrBusy.
func TestUnreachable(t *testing.T) {
	h := sim.New(sim.Options{})
	s, c := overWinRM(t, h, "gone")
	nobody := c
	nobody.URL = "winrm+https://ingot@127.0.0.1:1"
	ssh := hyperv.Config{URL: "ssh+hyperv://ingot@127.0.0.1:1", Owner: "gone"}
	for name, c := range map[string]hyperv.Config{"WinRM": nobody, "SSH": ssh} {
		if _, err := exec.LookPath("ssh"); err != nil && name == "SSH" {
			t.Log("no ssh (Debian package openssh-client)")
			continue
		}
		if _, err := hyperv.Open(t.Context(), c); !errors.Is(err, inventory.ErrBusy) {
			t.Errorf("%s, nobody there: %v", name, err)
		}
	}
	d := opened(t, c)
	t.Cleanup(func() { d.Close() })
	for name, how := range map[string]winrmsim.Mishap{"cut": {CutBefore: true}, "answer lost": {CutAfter: true}} {
		s.Fail("Receive", 1, how)
		if _, err := d.List(t.Context()); !errors.Is(err, inventory.ErrBusy) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.Close()
	if _, err := d.List(t.Context()); !errors.Is(err, inventory.ErrBusy) {
		t.Errorf("it went away: %v", err)
	}
}

// Part of the suite over WinRM: what changes most on the way.
func TestSuiteOverWinRM(t *testing.T) {
	if raced || testing.Short() {
		t.Skip("slow: each script is one process of a simulated WinRM")
	}
	t.Parallel()
	h := sim.New(sim.Options{})
	_, c := overWinRM(t, h, "")
	harness := harness(t, h, true, sim.Before)
	harness.Fail = nil
	harness.New = func(t *testing.T, owner string) hypervisor.Driver {
		mine := c
		mine.Owner, mine.Offer = owner, newOffers(t).offer
		return changed{opened(t, mine), true}
	}
	drivertest.Run(t, harness)
}
