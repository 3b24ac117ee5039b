package hyperv_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ingot/hypervisor"
	"ingot/hypervisor/hyperv"
	"ingot/hypervisor/hyperv/sim"
	"ingot/inventory"
)

func finding(all []hypervisor.Finding, what string) hypervisor.Finding {
	i := slices.IndexFunc(all, func(f hypervisor.Finding) bool { return f.What == what })
	if i < 0 {
		return hypervisor.Finding{}
	}
	return all[i]
}

func TestCheck(t *testing.T) {
	h := sim.New(sim.Options{})
	before := h.Left()
	all, err := hyperv.Diagnose(t.Context(), config(t, h, "check"))
	if err != nil || len(all) < 8 {
		t.Fatalf("%d findings, %v", len(all), err)
	}
	again, err := open(t, h, "check").Check(t.Context())
	if err != nil || len(again) != len(all) {
		t.Errorf("check has %d findings, diagnose %d, %v", len(again), len(all), err)
	}
	for _, f := range all {
		if f.Level != hypervisor.OK || f.Detail == "" || f.Try != "" {
			t.Errorf("%+v", f)
		}
	}
	if !slices.Equal(before, h.Left()) {
		t.Errorf("left %q", h.Left())
	}
}

func TestCheckFinds(t *testing.T) {
	for name, test := range map[string]struct {
		options     sim.Options
		do          func(*sim.Host, *hyperv.Config)
		what        string
		level       hypervisor.FindingLevel
		detail, try string
		opens       error
	}{
		"no module":      {sim.Options{}, func(h *sim.Host, _ *hyperv.Config) { h.Uninstall() }, "Hyper-V", hypervisor.Failed, "no Hyper-V module", "Install-WindowsFeature", inventory.ErrUnsupported},
		"no rights":      {sim.Options{}, func(h *sim.Host, _ *hyperv.Config) { h.Deny(true) }, "rights", hypervisor.Failed, "AccessDenied", "Hyper-V Administrators", inventory.ErrDenied},
		"compressed":     {sim.Options{}, func(h *sim.Host, _ *hyperv.Config) { h.Squeeze() }, "storage", hypervisor.Failed, "compressed or encrypted", "compact /u", nil},
		"read-only":      {sim.Options{}, func(h *sim.Host, _ *hyperv.Config) { h.Lock() }, "storage", hypervisor.Failed, "can't write to", "modify", nil},
		"no drive":       {sim.Options{}, func(_ *sim.Host, c *hyperv.Config) { c.Storage = `Z:\VMs` }, "storage", hypervisor.Failed, `nothing of "Z:\\VMs"`, "a drive that the host has", nil},
		"which switch":   {sim.Options{Switches: []string{"A", "B"}}, func(*sim.Host, *hyperv.Config) {}, "network", hypervisor.Failed, `"A" (Internal), "B" (Internal)`, "name one", nil},
		"no switch":      {sim.Options{Switches: []string{}}, func(*sim.Host, *hyperv.Config) {}, "network", hypervisor.Failed, "New-VMSwitch", "name one", nil},
		"wrong switch":   {sim.Options{}, func(_ *sim.Host, c *hyperv.Config) { c.Network = "Nowhere" }, "network", hypervisor.Failed, `no virtual switch "Nowhere"`, "name one", nil},
		"default switch": {sim.Options{Switches: []string{"A", "Default Switch"}}, func(*sim.Host, *hyperv.Config) {}, "network", hypervisor.OK, "Default Switch", "", nil},
		"clock": {sim.Options{}, func(_ *sim.Host, c *hyperv.Config) {
			c.Now = func() time.Time { return time.Now().Add(-time.Hour) }
		}, "clock", hypervisor.Warning, "1h0m0s off", "NTP", nil},
		"no offers":     {sim.Options{}, func(_ *sim.Host, c *hyperv.Config) { c.Offer = nil }, "images", hypervisor.Warning, "nothing to fetch", "can't be brought", nil},
		"no connection": {sim.Options{}, func(h *sim.Host, _ *hyperv.Config) { h.Down(true) }, "host", hypervisor.Failed, "connection", "correct", sim.ErrCut},
	} {
		t.Run(name, func(t *testing.T) {
			h := sim.New(test.options)
			c := config(t, h, "check")
			test.do(h, &c)
			all, err := hyperv.Diagnose(t.Context(), c)
			if f := finding(all, test.what); err != nil || f.Level != test.level || !strings.Contains(f.Detail, test.detail) || !strings.Contains(f.Try, test.try) || (f.Try == "") != (f.Level == hypervisor.OK) {
				t.Errorf("%+v, %v", f, err)
			}
			if _, err := hyperv.Open(t.Context(), c); !errors.Is(err, test.opens) || (err == nil) != (test.opens == nil) {
				t.Errorf("open: got %v, want %v", err, test.opens)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	password := func() ([]byte, error) { return []byte("secret"), nil }
	for name, c := range map[string]hyperv.Config{
		"no scheme":      {URL: "hv1", Owner: "me", Password: password},
		"other scheme":   {URL: "winrm://user@hv1", Owner: "me", Password: password},
		"password":       {URL: "winrm+https://user:secret@hv1", Owner: "me", Password: password},
		"path":           {URL: "winrm+https://user@hv1/wsman", Owner: "me", Password: password},
		"no user":        {URL: "winrm+https://hv1", Owner: "me", Password: password},
		"no password":    {URL: "winrm+https://user@hv1", Owner: "me"},
		"no owner":       {URL: "winrm+https://user@hv1", Password: password},
		"port":           {URL: "winrm+https://user@hv1:99999", Owner: "me", Password: password},
		"storage":        {URL: "winrm+https://user@hv1", Owner: "me", Password: password, Storage: "VMs"},
		"long storage":   {URL: "winrm+https://user@hv1", Owner: "me", Password: password, Storage: `D:\` + strings.Repeat("x", 100)},
		"SSH thumbprint": {URL: "ssh+hyperv://user@hv1", Owner: "me", Thumbprint: strings.Repeat("00", 32)},
		"unreadable":     {URL: "winrm+https://user:secret@hv1:%zz", Owner: "me", Password: password},
	} {
		_, err := hyperv.Open(t.Context(), c)
		if !errors.Is(err, inventory.ErrInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", name, err)
		}
		all, err := hyperv.Diagnose(t.Context(), c)
		if err != nil || len(all) != 1 || all[0].Level != hypervisor.Failed {
			t.Errorf("%s: diagnosed %+v, %v", name, all, err)
		}
	}
}
