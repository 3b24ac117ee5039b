package agentapi

import (
	"context"
	"crypto/tls"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

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
