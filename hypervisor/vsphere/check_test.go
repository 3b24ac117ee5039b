package vsphere_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vmware/govmomi/vim25/soap"

	"ingot/hypervisor"
	"ingot/hypervisor/vsphere"
	"ingot/hypervisor/vsphere/sim"
	"ingot/inventory"
)

// silent is an address where nobody answers.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func found(findings []hypervisor.Finding, what string, level hypervisor.FindingLevel, text string) bool {
	return slices.ContainsFunc(findings, func(f hypervisor.Finding) bool {
		return f.What == what && f.Level == level && strings.Contains(f.Detail, text) && f.Try != ""
	})
}

// What the login may not do is ErrDenied, and the error names the privilege.
func TestDenied(t *testing.T) {
	s := start(t, sim.Options{})
	d := ready(t, s, "denied")
	if _, err := d.Create(t.Context(), machine("m-1", "one")); err != nil {
		t.Fatal(err)
	}
	s.Deny("VirtualMachine.Interact.PowerOn")
	err := d.SetPower(t.Context(), "m-1", hypervisor.On, hypervisor.Force)
	if !errors.Is(err, inventory.ErrDenied) || !strings.Contains(err.Error(), "lacks the privilege VirtualMachine.Interact.PowerOn") {
		t.Errorf("got %v", err)
	}
}

func TestCheck(t *testing.T) {
	for _, esx := range []bool{false, true} {
		s := start(t, sim.Options{ESX: esx})
		findings, err := vsphere.Diagnose(t.Context(), config(s, "check"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			if f.Level == hypervisor.Failed {
				t.Errorf("%+v", f)
			}
		}
		if len(findings) < 10 || !found(findings, "quota", hypervisor.Warning, "resource pool Resources: memory up to 961 MiB") {
			t.Errorf("ESXi %v: findings %+v", esx, findings)
		}
		c := config(s, "check")
		c.Thumbprint = ""
		findings, err = vsphere.Diagnose(t.Context(), c)
		if last := findings[len(findings)-1]; err != nil || last.Level != hypervisor.Failed || !strings.Contains(last.Try, s.Thumbprint()) {
			t.Errorf("no pin: %+v, %v", last, err)
		}
		c = config(s, "check")
		c.Now = func() time.Time { return time.Now().Add(-time.Hour) }
		s.Deny("VirtualMachine.Interact.PowerOn", "Datastore.DeleteFile")
		findings, err = vsphere.Diagnose(t.Context(), c)
		if err != nil || !found(findings, "clock", hypervisor.Warning, "1h0m0s off") ||
			!found(findings, "privileges", hypervisor.Failed, "VirtualMachine.Interact.PowerOn on ") || !found(findings, "privileges", hypervisor.Failed, "Datastore.DeleteFile on ") {
			t.Errorf("clock and privileges: %+v, %v", findings, err)
		}
		c.URL = "vsphere://root@127.0.0.1:1"
		findings, err = vsphere.Diagnose(t.Context(), c)
		if last := findings[len(findings)-1]; err != nil || last.Level != hypervisor.Failed || !strings.Contains(last.What, "reach") {
			t.Errorf("nobody there: %+v, %v", last, err)
		}
	}
}

// TestObstacles: each thing that is in the way of first contact is a finding of its own,
// after those that went well; a wrong password is tried once.
func TestObstacles(t *testing.T) {
	s := start(t, sim.Options{Datastores: 2})
	web := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	for name, test := range map[string]struct {
		change func(*vsphere.Config)
		want   []string
		detail string
	}{
		"address":   {func(c *vsphere.Config) { c.URL = "vsphere://" + s.Host() }, []string{"address"}, "is not vsphere://user@server"},
		"wrong pin": {func(c *vsphere.Config) { c.Thumbprint = strings.Repeat("ab", 32) }, []string{"reach", "certificate"}, "not the pinned one"},
		"not a vCenter": {func(c *vsphere.Config) {
			c.URL, c.Thumbprint = "vsphere://root@"+web.Listener.Addr().String(), printOf(web)
		}, []string{"reach", "certificate", "API"}, "404"},
		"wrong password": {func(c *vsphere.Config) { c.Password = func() ([]byte, error) { return []byte("wrong"), nil } }, []string{"reach", "certificate", "login"}, "InvalidLogin"},
		"two datastores": {func(*vsphere.Config) {}, []string{"reach", "certificate", "place"}, "which datastore?"},
	} {
		c := config(s, "obstacles")
		test.change(&c)
		s.Forget()
		findings, err := vsphere.Diagnose(t.Context(), c)
		var whats []string
		for _, f := range findings {
			whats = append(whats, f.What)
		}
		if diff := cmp.Diff(test.want, whats); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
			continue
		}
		if last := findings[len(findings)-1]; last.Level != hypervisor.Failed || !strings.Contains(last.Detail, test.detail) || last.Try == "" {
			t.Errorf("%s: got %+v, want %q", name, last, test.detail)
		}
		if n := count(s, "Login"); n > 1 {
			t.Errorf("%s: %d logins", name, n)
		}
	}
}

func printOf(s *httptest.Server) string { return soap.ThumbprintSHA256(s.Certificate()) }

// TestCheckOfOneGone: a server that went away is told by what is the matter alone.
func TestCheckOfOneGone(t *testing.T) {
	s := start(t, sim.Options{})
	d := opened(t, s, "gone")
	s.Close()
	findings, err := d.Check(t.Context())
	if err != nil || len(findings) != 1 || findings[0].What != "reach" {
		t.Errorf("got %+v, %v", findings, err)
	}
	_ = d.Close() // there is nobody to log out at
}
