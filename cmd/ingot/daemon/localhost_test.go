package daemon

import (
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
	"ingot/inventory/sqlstore"
)

// TestLocalHost: a libvirt that answers is the first host; a socket that was left behind
// is none, and neither is one whose host was removed.
func TestLocalHost(t *testing.T) {
	store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ingot.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	stale, alive := filepath.Join(t.TempDir(), "stale"), filepath.Join(t.TempDir(), "alive")
	left := listenUnix(t, stale)
	left.SetUnlinkOnClose(false)
	left.Close()
	defer listenUnix(t, alive).Close()
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	find := func(sockets ...string) []inventory.Host {
		t.Helper()
		if err := findLocalHost(t.Context(), store, sockets, now, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		var hosts []inventory.Host
		if err := store.View(t.Context(), func(x inventory.Tx) (err error) {
			hosts, err = x.Hosts(t.Context())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return hosts
	}
	if got := find(stale, filepath.Join(t.TempDir(), "none")); len(got) != 0 {
		t.Errorf("a socket without a daemon is a host: %v", got)
	}
	if d := cmp.Diff([]inventory.Host{{Name: "local", URL: "qemu:///system", Created: now}}, find(stale, alive)); d != "" {
		t.Errorf("hosts (-want +got):\n%s", d)
	}
	if err := store.Update(t.Context(), func(x inventory.Tx) error { return x.DeleteHost(t.Context(), "local") }); err != nil {
		t.Fatal(err)
	}
	if got := find(alive); len(got) != 0 {
		t.Errorf("a host that was removed is back: %v", got)
	}
}

func listenUnix(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}
