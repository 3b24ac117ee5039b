package vsphere_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ingot/hypervisor"
	"ingot/hypervisor/vsphere"
	"ingot/hypervisor/vsphere/sim"
	"ingot/inventory"
)

func TestSessionExpiry(t *testing.T) {
	s := start(t, sim.Options{})
	d := ready(t, s, "expiry")
	spec := machine("m-1", "one")
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"create", func() error { _, err := d.Create(t.Context(), spec); return err }},
		{"list", func() error { _, err := d.List(t.Context()); return err }},
		{"list again", func() error { _, err := d.List(t.Context()); return err }},
		{"power on", func() error { return d.SetPower(t.Context(), spec.ID, hypervisor.On, hypervisor.Force) }},
		{"check", func() error { _, err := d.Check(t.Context()); return err }},
		{"delete", func() error { return d.Delete(t.Context(), spec.ID) }},
		{"remove image", func() error { return d.RemoveImage(t.Context(), spec.Image) }},
		{"ensure image", func() error { return d.EnsureImage(t.Context(), image(t), nil) }},
	} {
		s.Expire()
		if err := step.do(); err != nil {
			t.Errorf("%s after the session ended: %v", step.name, err)
		}
	}
}

// A session that ends under a task that is waited for does not lose the task.
func TestSessionExpiryUnderTask(t *testing.T) {
	s := start(t, sim.Options{})
	d := ready(t, s, "under")
	s.Delay("CloneVM_Task", 300*time.Millisecond)
	s.Forget()
	done := make(chan error, 1)
	go func() { _, err := d.Create(t.Context(), machine("m-1", "one")); done <- err }()
	await(t, s, "WaitForUpdatesEx", 1)
	s.Expire()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// await waits until a method was called so many times.
func await(t *testing.T, s *sim.Server, method string, times int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Await(ctx, method, times); err != nil {
		t.Fatalf("%s: %v", method, err)
	}
}

// Many calls that find the session gone at once share one login.
func TestSessionExpiryAtOnce(t *testing.T) {
	s := start(t, sim.Options{})
	d := open(t, s, "once")
	if _, err := d.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Expire()
	s.Forget()
	failed := make(chan error, 8)
	for range cap(failed) {
		go func() { _, err := d.List(t.Context()); failed <- err }()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if n := count(s, "Login"); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

func count(s *sim.Server, method string) int {
	n := 0
	for _, c := range s.Calls() {
		if c.Method == method {
			n++
		}
	}
	return n
}

// A login that was refused is not tried again and again: that would lock the account. A
// person's check-up is one more try.
func TestRefusedLogin(t *testing.T) {
	s := start(t, sim.Options{})
	c := config(s, "refused")
	var changed atomic.Bool
	c.Password = func() ([]byte, error) {
		if changed.Load() {
			return []byte("of yesterday"), nil
		}
		return []byte(password), nil
	}
	d, err := vsphere.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	changed.Store(true)
	s.Expire()
	s.Forget()
	for range 5 {
		if _, err := d.List(t.Context()); !errors.Is(err, inventory.ErrDenied) {
			t.Errorf("got %v", err)
		}
	}
	if n := count(s, "Login"); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	findings, err := d.Check(t.Context())
	if last := findings[len(findings)-1]; err != nil || last.What != "login" || last.Level != hypervisor.Failed {
		t.Errorf("check: %+v, %v", findings, err)
	}
	if n := count(s, "Login"); n != 2 {
		t.Errorf("%d logins after a check-up, want 2: a person looks, and sees for themselves", n)
	}
	changed.Store(false)
	if findings, err := d.Check(t.Context()); err != nil || findings[len(findings)-1].What == "login" {
		t.Errorf("check with the right password: %+v, %v", findings, err)
	}
}

func TestTrust(t *testing.T) {
	s := start(t, sim.Options{})
	for name, test := range map[string]struct{ print, want string }{
		"SHA-256":                {s.Thumbprint(), ""},
		"SHA-1":                  {s.ShortThumbprint(), ""},
		"bare lower case":        {strings.ToLower(strings.ReplaceAll(s.Thumbprint(), ":", "")), ""},
		"of another certificate": {strings.Repeat("AB:", 31) + "AB", "certificate is not the pinned one: it has the thumbprint " + s.Thumbprint()},
		"none":                   {"", "certificate"},
		"half":                   {s.Thumbprint()[:20], "want SHA-256 or SHA-1"},
	} {
		c := config(s, "trust")
		c.Thumbprint = test.print
		d, err := vsphere.Open(t.Context(), c)
		if d != nil {
			d.Close()
		}
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

// The password is in no log, no error and no finding.
func TestPasswordIsNotTold(t *testing.T) {
	s := start(t, sim.Options{})
	var told bytes.Buffer
	for _, secret := range []string{password, "wrong " + password} {
		c := config(s, "quiet")
		c.Password = func() ([]byte, error) { return []byte(secret), nil }
		c.Log = slog.New(slog.NewJSONHandler(&told, &slog.HandlerOptions{Level: slog.LevelDebug}))
		fmt.Fprintf(&told, "%v %+v", c, c)
		d, err := vsphere.Open(t.Context(), c)
		if secret != password && !errors.Is(err, inventory.ErrDenied) {
			t.Errorf("wrong password: %v", err)
		}
		fmt.Fprintf(&told, "%v %+v", err, d)
		findings, err := vsphere.Diagnose(t.Context(), c)
		fmt.Fprintf(&told, "%+v %v", findings, err)
		if d != nil {
			err = d.SetPower(t.Context(), "none", hypervisor.On, hypervisor.Force)
			fmt.Fprintf(&told, "%v %v", err, d.Close())
		}
	}
	c := config(s, "quiet")
	c.URL = strings.Replace(c.URL, "@", ":"+strings.ReplaceAll(password, " ", "%20")+"@", 1)
	_, err := vsphere.Open(t.Context(), c)
	fmt.Fprint(&told, err)
	if err == nil || strings.Contains(told.String(), "horse") {
		t.Errorf("told:\n%s", told.String())
	}
}

// What is not named is the only one there is, or an error that names the choices.
func TestChoices(t *testing.T) {
	s := start(t, sim.Options{Datastores: 2})
	for name, test := range map[string]struct {
		change func(*vsphere.Config)
		want   string
	}{
		"two datastores":     {func(*vsphere.Config) {}, "which datastore? There are: LocalDS_0, LocalDS_1"},
		"no such datastore":  {func(c *vsphere.Config) { c.Datastore = "SSD" }, `no datastore "SSD"; there are: LocalDS_0, LocalDS_1`},
		"cluster or host":    {func(c *vsphere.Config) { c.URL = strings.TrimSuffix(c.URL, "/DC0_C0") }, "which cluster or host? There are: "},
		"no such cluster":    {func(c *vsphere.Config) { c.URL += "9" }, `no cluster or host "DC0_C09"; there are: `},
		"no such datacenter": {func(c *vsphere.Config) { c.URL = strings.Replace(c.URL, "DC0/", "DC9/", 1) }, `no datacenter "DC9"; there are: DC0`},
		"one of two":         {func(c *vsphere.Config) { c.Datastore = "LocalDS_1" }, ""},
		"path too long":      {func(c *vsphere.Config) { c.URL += "/more" }, "path"},
		"no user":            {func(c *vsphere.Config) { c.URL = "vsphere://" + s.Host() }, "is not vsphere://user@server"},
		"no owner":           {func(c *vsphere.Config) { c.Owner = "" }, "no owner"},
	} {
		c := config(s, "choices")
		test.change(&c)
		d, err := vsphere.Open(t.Context(), c)
		if d != nil {
			d.Close()
		}
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

// A server that takes the connection and says nothing does not hold a call.
func TestUnreachable(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	listener := silent(t)
	c := vsphere.Config{URL: "vsphere://root@" + listener, Owner: "nobody", Password: func() ([]byte, error) { return nil, nil }}
	began := time.Now()
	if _, err := vsphere.Open(ctx, c); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
		t.Errorf("got %v after %s", err, time.Since(began))
	}
}
