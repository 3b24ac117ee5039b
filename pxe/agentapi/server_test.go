package agentapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ingot/inventory"
)

func TestUnknownSession(t *testing.T) {
	s := newService(t)
	for name, token := range map[string]string{"none": "", "invented": "nonsense"} {
		c := s.client()
		c.Token = token
		for call, err := range map[string]error{
			"facts":  c.Facts(t.Context(), &inventory.Facts{}),
			"beat":   c.Beat(t.Context(), Beat{}),
			"report": c.Report(t.Context(), inventory.Report{}),
			"log":    c.Log(t.Context(), []byte("x")),
		} {
			if !errors.Is(err, ErrSession) {
				t.Errorf("%s with token %s: %v, want ErrSession", call, name, err)
			}
		}
	}
}

// TestTokenIsNotStored: the store has the hash alone.
func TestTokenIsNotStored(t *testing.T) {
	s := newService(t)
	c, w := s.up(hello("boot-one", uuidA, macA))
	if err := s.store.View(t.Context(), func(x inventory.Tx) error {
		ss, err := x.Sessions(t.Context(), w.Machine)
		if len(ss) != 1 || ss[0].TokenHash != HashToken(c.Token) || strings.Contains(ss[0].TokenHash, c.Token) || ss[0].Trusted {
			t.Errorf("sessions = %+v", ss)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestFacts(t *testing.T) {
	s := newService(t)
	c, _ := s.up(hello("boot-one", uuidA, macA))
	f := &inventory.Facts{System: inventory.System{UUID: uuidA, Serial: "CZ1"}, Firmware: inventory.Firmware{Mode: inventory.FirmwareBIOS},
		NICs: []inventory.NIC{{MAC: macA}, {MAC: macB}}, Disks: []inventory.Disk{{Name: "sda", Serial: "S1", SizeBytes: 1e12}}}
	for range 2 {
		if err := c.Facts(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	m := s.machines()[0]
	if m.Status.FactsVersion != 1 || m.Identity.Serial != "CZ1" || len(m.Identity.MACs) != 2 || m.Status.Firmware != inventory.FirmwareBIOS || m.Status.Agent.FactsAt.IsZero() {
		t.Errorf("machine = %+v %+v", m.Identity, m.Status)
	}
	f.Disks[0].Serial = "S2"
	if err := c.Facts(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if tl := s.timeline(); !strings.Contains(tl, "facts 2: disk gone: S1 1.00 TB; disk new: S2 1.00 TB") {
		t.Errorf("timeline:\n%s", tl)
	}
	f.System.UUID = uuidB
	if err := c.Facts(t.Context(), f); err == nil || !strings.Contains(err.Error(), "409") {
		t.Errorf("facts of another machine: %v", err)
	}
}

func TestOversizedBodies(t *testing.T) {
	s := newService(t)
	c, _ := s.up(hello("boot-one", uuidA, macA))
	huge := &inventory.Facts{Unread: []string{strings.Repeat("x", maxBodyBytes)}}
	var final *FinalError
	if err := c.Facts(t.Context(), huge); !errors.As(err, &final) {
		t.Errorf("facts of %d bytes: %v, want a final error", maxBodyBytes, err)
	}
	if err := c.Log(t.Context(), []byte(strings.Repeat("x", maxLogBytes+1))); !errors.As(err, &final) {
		t.Errorf("log of %d bytes: %v, want a final error", maxLogBytes+1, err)
	}
	if s.machines()[0].Status.FactsVersion != 0 || len(s.logs) > 0 {
		t.Error("an oversized body was kept")
	}
}

// TestBeats: progress counts for the order that stands alone, and what a hostile agent
// claims can't leave its bounds.
func TestBeats(t *testing.T) {
	s := newService(t)
	c, w := s.up(hello("boot-one", uuidA, macA))
	for _, p := range []inventory.Progress{{Step: "write", Bytes: 10, TotalBytes: 100}, {Step: "write", Bytes: 20, TotalBytes: 100}, {Step: "write", Bytes: 60, TotalBytes: 100}} {
		if err := c.Beat(t.Context(), Beat{Progress: &p}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Beat(t.Context(), Beat{Generation: 7, Progress: &inventory.Progress{Step: "write", Bytes: 99, TotalBytes: 100}}); err != nil {
		t.Fatal(err)
	}
	if p := s.machines()[0].Status.Progress; p == nil || p.Bytes != 60 {
		t.Errorf("progress = %+v", p)
	}
	if n := strings.Count(s.timeline(), "write "); n != 2 {
		t.Errorf("progress was told %d times, want at each new quarter:\n%s", n, s.timeline())
	}
	for want, p := range map[string]inventory.Progress{
		"100 of 100": {Step: "write", Bytes: 200, TotalBytes: 100}, "0 of 100": {Step: "write", Bytes: -1, TotalBytes: 100, WireBytes: -1},
		"5 of 0": {Step: "write", Bytes: 5, TotalBytes: -1},
	} {
		if err := c.Beat(t.Context(), Beat{Progress: &p}); err != nil {
			t.Fatal(err)
		}
		got := s.machines()[0].Status.Progress
		if text := fmt.Sprintf("%d of %d", got.Bytes, got.TotalBytes); text != want || got.WireBytes < 0 {
			t.Errorf("progress = %+v, want %s", got, want)
		}
	}
	s.pass(time.Minute)
	if err := c.Log(t.Context(), []byte("one\nlast words\n")); err != nil {
		t.Fatal(err)
	}
	m := s.machines()[0]
	if m.Status.Agent.LastLog != "last words" || s.logs[w.Machine] != "one\nlast words\n" || !m.Status.Beat.Equal(s.now) {
		t.Errorf("last log %q, log %q, beat %s", m.Status.Agent.LastLog, s.logs[w.Machine], m.Status.Beat)
	}
}

func TestReport(t *testing.T) {
	s := newService(t)
	c, _ := s.up(hello("boot-one", uuidA, macA))
	if err := c.Report(t.Context(), inventory.Report{Generation: 7, OK: true}); err != nil {
		t.Fatal(err)
	}
	if m := s.machines()[0]; m.Status.Report != nil {
		t.Errorf("a report of an order that was not given stands: %+v", m.Status.Report)
	}
	if err := c.Report(t.Context(), inventory.Report{Generation: 0, Order: string(OrderDeploy), OK: true, Disk: "sda", Duration: time.Second}); err != nil {
		t.Fatal(err)
	}
	m := s.machines()[0]
	if r := m.Status.Report; r == nil || r.Boot != "boot-one" || !r.At.Equal(s.now) {
		t.Errorf("report = %+v", r)
	}
	if want := "agent refused order 7: report of an order that no longer stands\nwrote  to sda in 1s"; !strings.HasSuffix(s.timeline(), want) {
		t.Errorf("timeline:\n%s", s.timeline())
	}
}

func TestNotFoundPaths(t *testing.T) {
	s := newService(t)
	for path, want := range map[string]int{"/": 404, "/agent/v1/none": 404, PathHello: 405} {
		resp, err := s.client().HTTP.Get(s.http.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		if resp.StatusCode != want {
			t.Errorf("GET %s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	resp, err := s.client().HTTP.Post(s.http.URL+PathHello, "application/json", strings.NewReader(`{"boot":`))
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("cut JSON: %d", resp.StatusCode)
	}
}
