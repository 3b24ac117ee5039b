package agentapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
	"ingot/inventory/sqlstore"
)

const (
	macA  = inventory.MAC("52:54:00:00:00:0a")
	macB  = inventory.MAC("52:54:00:00:00:0b")
	uuidA = "aaaaaaaa-0000-4000-8000-000000000001"
	uuidB = "bbbbbbbb-0000-4000-8000-000000000002"
)

// service is a real TLS server on a real store; the clock is the test's.
type service struct {
	t     *testing.T
	store inventory.Store
	http  *httptest.Server
	pin   string
	mu    sync.Mutex
	now   time.Time
	seen  []inventory.Sighting
	logs  map[string]string
	// order is what the machine is told to do; asked are the questions that got it.
	order Order
	err   error
	asked []Ask
}

func newService(t *testing.T) *service {
	t.Helper()
	store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ingot.db"))
	if err != nil {
		t.Fatal(err)
	}
	s := &service{t: t, store: store, now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), logs: map[string]string{}, order: Order{Kind: OrderWait}}
	api := &Server{Store: store, Orders: s, Logs: s, Now: s.clock, NetconsolePort: 6666, Saw: func(x inventory.Sighting) { s.seen = append(s.seen, x) }}
	s.http = httptest.NewUnstartedServer(api.Handler())
	s.http.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	s.http.StartTLS()
	s.pin = Pin(s.http.Certificate())
	t.Cleanup(func() {
		s.http.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *service) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *service) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// Pending implements Orders.
func (s *service) Pending(*inventory.Machine, Ask) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.order.Kind != OrderWait
}

// Order implements Orders.
func (s *service) Order(_ context.Context, _ inventory.Tx, _ *inventory.Machine, a Ask) (Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, a)
	return s.order, s.err
}

// Append implements Logs.
func (s *service) Append(machine string, text []byte) error {
	s.logs[machine] += string(text)
	return nil
}

func (s *service) client() *Client {
	c := NewClient(s.http.URL, s.pin)
	s.t.Cleanup(c.HTTP.CloseIdleConnections)
	return c
}

func hello(boot, uuid string, macs ...inventory.MAC) Hello {
	return Hello{Boot: boot, Identity: inventory.Identity{UUID: uuid, MACs: macs}, BootMAC: macs[0], Firmware: inventory.FirmwareUEFI,
		SecureBoot: inventory.SecureBootOff, Kernel: "6.1"}
}

// up says hello with a client of its own.
func (s *service) up(h Hello) (*Client, Welcome) {
	s.t.Helper()
	c := s.client()
	w, err := c.Hello(s.t.Context(), h)
	if err != nil {
		s.t.Fatal(err)
	}
	return c, w
}

func (s *service) machines() []*inventory.Machine {
	s.t.Helper()
	var ms []*inventory.Machine
	if err := s.store.View(s.t.Context(), func(x inventory.Tx) (err error) {
		ms, err = x.Machines(s.t.Context())
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	return ms
}

func (s *service) timeline() string {
	s.t.Helper()
	var out []string
	if err := s.store.View(s.t.Context(), func(x inventory.Tx) error {
		es, err := x.Events(s.t.Context(), inventory.EventQuery{})
		for _, e := range es {
			out = append(out, e.Text())
		}
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

func TestHelloMakesTheMachine(t *testing.T) {
	s := newService(t)
	c, w := s.up(hello("boot-one", uuidA, macA, macB))
	if c.Token == "" || w.NetconsolePort != 6666 || w.BeatEvery != BeatEvery || !w.Time.Equal(s.now) {
		t.Errorf("welcome = %+v", w)
	}
	ms := s.machines()
	if len(ms) != 1 || ms[0].ID != w.Machine || ms[0].Name != w.Name {
		t.Fatalf("machines = %+v", ms)
	}
	m := ms[0]
	if m.Status.State != inventory.Discovered || m.Status.Firmware != inventory.FirmwareUEFI || m.Status.SecureBoot != inventory.SecureBootOff ||
		m.Status.Address != netip.MustParseAddr("127.0.0.1") || m.Status.Agent == nil || m.Status.Agent.Boot != "boot-one" || m.Status.Agent.Trusted {
		t.Errorf("status = %+v", m.Status)
	}
	if want := "discovered by agent (52:54:00:00:00:0a)\nagent is up at 127.0.0.1"; s.timeline() != want {
		t.Errorf("timeline:\n%s\nwant\n%s", s.timeline(), want)
	}
	if len(s.seen) != 1 || s.seen[0].Kind != inventory.SawAgentHello || s.seen[0].MAC != macA {
		t.Errorf("seen = %+v", s.seen)
	}
}

func TestHelloMatches(t *testing.T) {
	s := newService(t)
	_, first := s.up(hello("boot-one", uuidA, macA))
	_, same := s.up(hello("boot-one", uuidA, macA))
	if same.Machine != first.Machine || same.Token == first.Token {
		t.Errorf("the same boot again: %+v, first %+v", same, first)
	}
	s.pass(SilentAfter + time.Second)
	_, changed := s.up(hello("boot-two", strings.ToUpper(uuidA), macB))
	if changed.Machine != first.Machine {
		t.Error("a changed NIC makes another machine")
	}
	ms := s.machines()
	if d := cmp.Diff([]inventory.MAC{macA, macB}, ms[0].Identity.MACs); len(ms) != 1 || d != "" {
		t.Errorf("%d machines; MACs (-want +got):\n%s", len(ms), d)
	}
}

// TestHelloConflicts: a MAC never overrides a contradicting UUID; the machine is marked,
// once, and nobody is admitted.
func TestHelloConflicts(t *testing.T) {
	s := newService(t)
	s.up(hello("boot-one", uuidA, macA))
	s.pass(time.Hour)
	for range 2 {
		_, err := s.client().Hello(t.Context(), hello("boot-two", uuidB, macA))
		if err == nil || !strings.Contains(err.Error(), "UUID "+uuidB) {
			t.Errorf("hello: %v", err)
		}
	}
	ms := s.machines()
	if len(ms) != 1 || ms[0].Status.Conflict == "" || ms[0].Status.Agent.Boot != "boot-one" {
		t.Errorf("machines = %+v", ms[0].Status)
	}
	if n := strings.Count(s.timeline(), "identity conflict"); n != 1 {
		t.Errorf("the conflict was told %d times, want once:\n%s", n, s.timeline())
	}
	if last := s.seen[len(s.seen)-1]; last.Kind != inventory.SawAgentRefused {
		t.Errorf("seen = %+v", last)
	}
}

// TestSecondClaim: while an agent is alive, another boot is refused and raises an alarm;
// after it fell silent another boot is let in, and the first one's token is worth
// nothing.
func TestSecondClaim(t *testing.T) {
	s := newService(t)
	first, _ := s.up(hello("boot-one", uuidA, macA))
	s.pass(SilentAfter)
	_, err := s.client().Hello(t.Context(), hello("boot-two", uuidA, macA))
	if err == nil || !strings.Contains(err.Error(), "another agent speaks for") {
		t.Errorf("second claim: %v", err)
	}
	if !strings.Contains(s.timeline(), "alarm: another agent speaks for") {
		t.Errorf("no alarm:\n%s", s.timeline())
	}
	s.pass(time.Second)
	second, _ := s.up(hello("boot-two", uuidA, macA))
	if err := second.Beat(t.Context(), Beat{}); err != nil {
		t.Errorf("beat of the second: %v", err)
	}
	if err := first.Beat(t.Context(), Beat{}); !errors.Is(err, ErrSession) {
		t.Errorf("beat of the first: %v, want ErrSession", err)
	}
	if _, err := first.Order(t.Context(), 0); !errors.Is(err, ErrSession) {
		t.Errorf("order for the first: %v, want ErrSession", err)
	}
}

func TestBadHello(t *testing.T) {
	s := newService(t)
	many := make([]inventory.MAC, 65)
	for i := range many {
		many[i] = inventory.MAC("52:54:00:00:01:" + string("0123456789abcdef"[i>>4]) + string("0123456789abcdef"[i&15]))
	}
	for want, h := range map[string]Hello{
		"boot name of 0 characters":  {Identity: inventory.Identity{MACs: []inventory.MAC{macA}}},
		"boot name of 65 characters": {Boot: strings.Repeat("x", 65), Identity: inventory.Identity{MACs: []inventory.MAC{macA}}},
		"no MAC address":             {Boot: "boot-one", Identity: inventory.Identity{UUID: uuidA}},
		"identity is too large":      {Boot: "boot-one", Identity: inventory.Identity{MACs: many}},
	} {
		_, err := s.client().Hello(t.Context(), h)
		var final *FinalError
		if !errors.As(err, &final) || !strings.Contains(err.Error(), want) {
			t.Errorf("hello: %v, want a final error with %q", err, want)
		}
	}
	if ms := s.machines(); len(ms) > 0 {
		t.Errorf("a bad hello made %s", ms[0].Name)
	}
}

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

// TestOrder: an order goes out at once when there is one, with the question as asked; a
// denied one is an error.
func TestOrder(t *testing.T) {
	s := newService(t)
	c, _ := s.up(hello("boot-one", uuidA, macA))
	s.order = Order{Kind: OrderDeploy, Generation: 3, Deploy: &Deploy{Image: "debian-12"}}
	got, err := c.Order(t.Context(), 2)
	if d := cmp.Diff(s.order, got); err != nil || d != "" {
		t.Errorf("order (-want +got):\n%s%v", d, err)
	}
	if len(s.asked) != 1 || s.asked[0].Done != 2 || s.asked[0].Session.Boot != "boot-one" || s.asked[0].Local != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("asked = %+v", s.asked)
	}
	s.err = inventory.ErrDenied
	if _, err := c.Order(t.Context(), 2); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("denied order: %v", err)
	}
}

// TestOrderIsHeldOpen: a poll that finds nothing waits, and ends with the order that
// comes.
func TestOrderIsHeldOpen(t *testing.T) {
	s := newService(t)
	c, _ := s.up(hello("boot-one", uuidA, macA))
	type answer struct {
		order Order
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		o, err := c.Order(t.Context(), 0)
		done <- answer{o, err}
	}()
	s.mu.Lock()
	s.order = Order{Kind: OrderReboot}
	s.mu.Unlock()
	if a := <-done; a.err != nil || a.order.Kind != OrderReboot {
		t.Errorf("order = %+v, %v", a.order, a.err)
	}
}

func TestPinMismatch(t *testing.T) {
	s := newService(t)
	c := NewClient(s.http.URL, strings.Repeat("0", 64))
	defer c.HTTP.CloseIdleConnections()
	if _, err := c.Hello(t.Context(), hello("boot-one", uuidA, macA)); err == nil || !strings.Contains(err.Error(), "the boot script named 000") {
		t.Errorf("hello to another server: %v", err)
	}
	if len(s.machines()) > 0 {
		t.Error("it was admitted")
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
