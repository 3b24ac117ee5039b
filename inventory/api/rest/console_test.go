package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/inventory/auth"
	"ingot/inventory/sqlstore"
)

// echoHosts has machines whose serial port says in capitals what it hears.
type echoHosts struct {
	Hosts
	refused error
}

// Console implements VMs.
func (h echoHosts) Console(_ context.Context, m *inventory.Machine, force bool, joined func() (io.ReadWriter, error)) error {
	if h.refused != nil {
		return h.refused
	}
	rw, err := joined()
	if err != nil {
		return err
	}
	fmt.Fprintf(rw, "%s force=%v\n", m.Name, force)
	b := make([]byte, 5)
	if _, err := io.ReadFull(rw, b); err != nil {
		return err
	}
	fmt.Fprint(rw, strings.ToUpper(string(b)))
	return errors.New("it broke")
}

func consoleServer(t *testing.T, hosts Hosts) *api.Client {
	t.Helper()
	dir := t.TempDir()
	store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(dir, "ingot.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	tokens, token, err := auth.Open(t.Context(), store, filepath.Join(dir, "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	err = store.Update(t.Context(), func(x inventory.Tx) error {
		vm := inventory.VMSpec{Host: "kvm1", CPUs: 1, MemoryBytes: 1 << 30, DiskBytes: []int64{1 << 30}, NICs: make([]inventory.VMNIC, 1)}
		return errors.Join(x.PutMachine(t.Context(), &inventory.Machine{ID: "m-1", Name: "web", Spec: inventory.Spec{VM: &vm}}),
			x.PutMachine(t.Context(), &inventory.Machine{ID: "m-2", Name: "metal"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Store: store, Tokens: tokens, Hosts: hosts, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(srv.Close)
	return &api.Client{Base: srv.URL, Token: token}
}

func TestConsole(t *testing.T) {
	c := consoleServer(t, echoHosts{})
	rw, err := c.ConsoleOfVM(t.Context(), "web", true)
	if err != nil {
		t.Fatal(err)
	}
	defer rw.Close()
	if _, err := io.WriteString(rw, "hello"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(rw)
	if want := "web force=true\nHELLO\r\nit broke\r\n"; string(got) != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestConsoleRefused(t *testing.T) {
	c := consoleServer(t, echoHosts{refused: fmt.Errorf("somebody has it: %w", inventory.ErrBusy)})
	for name, want := range map[string]error{"web": inventory.ErrBusy, "metal": inventory.ErrUnsupported, "nobody": inventory.ErrNotFound} {
		if _, err := c.ConsoleOfVM(t.Context(), name, false); !errors.Is(err, want) {
			t.Errorf("console of %s: %v, want %v", name, err, want)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.Base+"/api/v1/vms/web/console", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("without an upgrade: %s", resp.Status)
	}
}
