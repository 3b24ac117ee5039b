package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/inventory/auth"
	"ingot/inventory/sqlstore"
)

// plainHosts seal nothing, and refuse to be checked.
type plainHosts struct{ Hosts }

func (plainHosts) Seal(_ string, secret []byte) ([]byte, error) { return secret, nil }

func (plainHosts) Check(context.Context, string) ([]api.Finding, error) {
	return nil, fmt.Errorf("the host says no: %w", inventory.ErrDenied)
}

// hostServer is an API over a store with no machines.
func hostServer(t *testing.T) (*api.Client, inventory.Store) {
	t.Helper()
	store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ingot.db"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	tokens, _, err := auth.Open(t.Context(), store, file)
	if err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Store: store, Tokens: tokens, Hosts: plainHosts{}, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	web := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		web.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return &api.Client{Base: web.URL, Token: strings.TrimSpace(string(token))}, store
}

// TestSecretStaysWithItsURL: a host that is changed keeps its secret, unless the change
// would send it to another server.
func TestSecretStaysWithItsURL(t *testing.T) {
	c, store := hostServer(t)
	const url, elsewhere = "vsphere://me@vc1/dc", "vsphere://me@evil/dc"
	for _, step := range []struct {
		host   inventory.Host
		secret string
		fails  error
		kept   string
	}{
		{inventory.Host{Name: "vc1", URL: url}, "hunter2", nil, "hunter2"},
		{inventory.Host{Name: "vc1", URL: url, Closed: true}, "", nil, "hunter2"},
		{inventory.Host{Name: "vc1", URL: elsewhere}, "", inventory.ErrInvalid, "hunter2"},
		{inventory.Host{Name: "vc1", URL: elsewhere}, "other", nil, "other"},
		{inventory.Host{Name: "Not a name", URL: url}, "x", inventory.ErrInvalid, "other"},
	} {
		if err := c.PutHost(t.Context(), api.HostAdd{Host: step.host, Secret: step.secret}); !errors.Is(err, step.fails) {
			t.Errorf("%+v: %v, want %v", step.host, err, step.fails)
		}
		if err := store.View(t.Context(), func(x inventory.Tx) error {
			if got, err := x.HostSecret(t.Context(), "vc1"); err != nil || string(got) != step.kept {
				t.Errorf("%+v: secret %q, %v; want %q", step.host, got, err, step.kept)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}

// TestDeniedByWhom: a request without the token and one that a host denies differ.
func TestDeniedByWhom(t *testing.T) {
	c, _ := hostServer(t)
	for token, want := range map[string]int{c.Token: http.StatusForbidden, "wrong": http.StatusUnauthorized} {
		c.Token = token
		_, err := c.CheckHost(t.Context(), "vc1")
		var answer *api.StatusError
		if !errors.As(err, &answer) || answer.Status != want || !errors.Is(err, inventory.ErrDenied) {
			t.Errorf("got %v, want status %d", err, want)
		}
	}
}
