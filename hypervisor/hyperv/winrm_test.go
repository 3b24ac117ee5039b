package hyperv_test

import (
	"errors"
	"strings"
	"testing"

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
