package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ingot/inventory"
	"ingot/inventory/sqlstore"
)

func TestTwoServersOnOneDirectory(t *testing.T) {
	dir := t.TempDir()
	first, err := lockData(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockData(dir)
	if !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("second lock: %v, want ErrBusy that names directory and process", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := lockData(dir)
	if err != nil {
		t.Fatalf("after the first is gone: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestPortOwner(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = listen(t.Context(), "", l.Addr().String())
	want := fmt.Sprintf("(process %d)", os.Getpid())
	if !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "give ingot another port") {
		t.Errorf("listen on a taken port: %v, want ErrBusy with %q", err, want)
	}
}

func TestHighWaterMark(t *testing.T) {
	h := highwater{filepath.Join(t.TempDir(), "highwater")}
	if n, err := h.read(); n != 0 || err != nil {
		t.Errorf("before the first write: %d, %v", n, err)
	}
	for _, seq := range []int64{1, 41} {
		if err := h.write(seq); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := h.read(); n != 41 || err != nil {
		t.Errorf("mark = %d, %v; want 41", n, err)
	}
	if err := os.WriteFile(h.path, []byte("forty-one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.read(); err == nil || !strings.Contains(err.Error(), h.path) {
		t.Errorf("damaged mark: %v, want an error that names the file", err)
	}
}

func TestNetworkOfAnInterface(t *testing.T) {
	for in, want := range map[string]string{"eth1": "eth1", "br_rack.12": "br-rack-12", "ETH0": "eth0"} {
		if got := networkName(in, 0); got != want {
			t.Errorf("networkName(%s) = %s, want %s", in, got, want)
		}
	}
	for own, want := range map[string]string{
		"10.66.0.1/24":   "10.66.0.128-10.66.0.254",
		"10.66.0.200/24": "10.66.0.1-10.66.0.127",
		"192.0.2.5/30":   "192.0.2.6-192.0.2.6",
	} {
		r := upperHalf(netip.MustParsePrefix(own))
		if got := r.First.String() + "-" + r.Last.String(); got != want {
			t.Errorf("pool beside %s = %s, want %s", own, got, want)
		}
	}
}

// freePort finds a port that nobody has.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a server without an interface until stop is called, which returns its end.
func start(t *testing.T, data string) (base string, log *lockedBuffer, stop func() error) {
	t.Helper()
	c, err := load(t, "", "--data", data, "--dhcp", "off", "--admin-listen", fmt.Sprintf("127.0.0.1:%d", freePort(t)))
	if err != nil {
		t.Fatal(err)
	}
	c.Machine = Machine{HTTPPort: freePort(t), TLSPort: freePort(t)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	log = &lockedBuffer{}
	go func() { done <- Serve(ctx, c, "test", log) }()
	base = "http://" + c.Admin.Listen
	ready(t, base, done, log)
	return base, log, func() error { cancel(); return <-done }
}

func ready(t *testing.T, base string, done <-chan error, log *lockedBuffer) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		select {
		case err := <-done:
			t.Fatalf("server ended: %v\n%s", err, log)
		case <-tick.C:
		}
		resp, err := http.Get(base + "/readyz")
		if err != nil {
			continue
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatalf("server is not ready\n%s", log)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b.String()
}

func TestServeAndStop(t *testing.T) {
	data := t.TempDir()
	base, log, stop := start(t, data)
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n", "/metrics": "ingot_dhcp_received_total 0"} {
		if code, text := get(t, base+path); code != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: %d %q, want %q", path, code, text, want)
		}
	}
	if code, text := get(t, base+"/api/v1/machines"); code != http.StatusUnauthorized || !strings.Contains(text, "API token") {
		t.Errorf("API without a token: %d %q", code, text)
	}
	token, err := os.ReadFile(filepath.Join(data, "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if strings.Contains(log.String(), strings.TrimSpace(string(token))) {
		t.Error("the admin token is in the log")
	}
	for _, name := range []string{"ingot.db", "key", "tls.pem", "admin.token"} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", name, info.Mode().Perm())
		}
	}
}

// TestRestoredDatabase: a database that is older than what the directory has seen puts
// every machine on hold; one that goes on where it was does not.
func TestRestoredDatabase(t *testing.T) {
	data := t.TempDir()
	seeded(t, data, 1)
	if m := hold(t, data); m != "" {
		t.Errorf("hold at a normal start: %q", m)
	}
	if err := (highwater{filepath.Join(data, "highwater")}).write(1000); err != nil {
		t.Fatal(err)
	}
	_, log, stop := start(t, data)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if m := hold(t, data); !strings.Contains(m, "restored from a backup") || !strings.Contains(m, "1000 were recorded") {
		t.Errorf("hold = %q", m)
	}
	if !strings.Contains(log.String(), "restored database: all machines are on hold") {
		t.Errorf("log:\n%s", log)
	}
}

// TestMarkFollowsOrders: orders raise the mark before the server ends.
func TestMarkFollowsOrders(t *testing.T) {
	store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ingot.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	h := highwater{filepath.Join(t.TempDir(), "highwater")}
	enough := errors.New("enough")
	done := make(chan error, 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { done <- h.follow(ctx, store, 0) }()
	for _, p := range []inventory.Payload{inventory.Ordered{Order: "deploy"}, inventory.Recovered{}, inventory.StateChanged{}, inventory.Recovered{}} {
		if err := store.Update(ctx, func(x inventory.Tx) error {
			e, err := inventory.NewEvent(nil, time.Now(), p)
			if err == nil {
				_, err = x.AddEvent(ctx, e)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		if n, err := h.read(); err != nil || n == 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the mark did not reach the state change")
		}
	}
	cancel(enough)
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("follow: %v", err)
	}
}

// seed puts n machines into the database of a data directory.
func seeded(t *testing.T, data string, n int) {
	t.Helper()
	with(t, data, func(x inventory.Tx) error {
		for i := range n {
			m := inventory.NewMachine(inventory.MAC(fmt.Sprintf("52:54:00:00:00:%02x", i+1)), time.Now())
			if err := x.PutMachine(t.Context(), m); err != nil {
				return err
			}
		}
		return nil
	})
}

func hold(t *testing.T, data string) (text string) {
	t.Helper()
	with(t, data, func(x inventory.Tx) error {
		ms, err := x.Machines(t.Context())
		for _, m := range ms {
			text = m.Status.Hold
		}
		return err
	})
	return text
}

func with(t *testing.T, data string, f func(inventory.Tx) error) {
	t.Helper()
	store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(data, "ingot.db"))
	if err != nil {
		t.Fatal(err)
	}
	err = store.Update(t.Context(), f)
	if err = errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedKeyStopsTheStart: a server that can't read its key must not make another.
func TestDamagedKeyStopsTheStart(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "key"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := load(t, "", "--data", data, "--dhcp", "off")
	if err != nil {
		t.Fatal(err)
	}
	if err := Serve(t.Context(), c, "test", &lockedBuffer{}); err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
		t.Errorf("Serve: %v", err)
	}
}
