package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
	"ingot/inventory/sqlstore"
	"ingot/inventory/webhook"
)

var now = time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)

func open(t *testing.T) inventory.Store {
	t.Helper()
	store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ingot.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func add(t *testing.T, store inventory.Store, p inventory.Payload) {
	t.Helper()
	e, err := inventory.NewEvent(nil, now, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Update(t.Context(), func(x inventory.Tx) error {
		_, err := x.AddEvent(t.Context(), e)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// got is what a receiver was sent.
type got struct {
	text, kind, signature string
	body                  []byte
}

// receiver answers with the status codes given, in turn, and 204 after them.
func receiver(t *testing.T, codes ...int) (url string, posts chan got) {
	t.Helper()
	posts = make(chan got, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if len(codes) > 0 {
			code := codes[0]
			codes = codes[1:]
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
			return
		}
		var m webhook.Message
		if err := json.Unmarshal(body, &m); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusNoContent)
		posts <- got{m.Text, r.Header.Get("Ingot-Event"), r.Header.Get("Ingot-Signature"), body}
	}))
	t.Cleanup(s.Close)
	return s.URL, posts
}

// run runs a sender; what it waits for is there at once.
func run(t *testing.T, store inventory.Store, hooks ...webhook.Hook) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	soon := make(chan time.Time)
	close(soon)
	s := &webhook.Sender{Store: store, Hooks: hooks, Client: webhook.NewClient(), After: func(time.Duration) <-chan time.Time { return soon }, Log: slog.New(slog.DiscardHandler)}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// begun waits until the hook's place is written down.
func begun(t *testing.T, store inventory.Store, name string) {
	t.Helper()
	for text := ""; text == ""; {
		if err := store.View(t.Context(), func(x inventory.Tx) (err error) {
			text, err = x.Setting(t.Context(), "webhook:"+name)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPost(t *testing.T) {
	store := open(t)
	add(t, store, inventory.ImageAdded{Name: "before"})
	url, posts := receiver(t, http.StatusInternalServerError, http.StatusFound, http.StatusNotFound)
	hook := webhook.Hook{Name: "chat", URL: url, Kinds: []string{"image.*"}, Secret: "s3cret"}
	stop := run(t, store, hook)
	begun(t, store, "chat")
	add(t, store, inventory.ServerStarted{})
	add(t, store, inventory.BuildEnded{Schedule: "web", Step: "build", Problem: "disk full"})
	add(t, store, inventory.ImageAdded{Name: "web", Digest: "sha256:ab"})
	first, second := <-posts, <-posts
	if diff := cmp.Diff([]string{"nightly build web failed at build: disk full", "image web@sha256:ab added", "image.build"}, []string{first.text, second.text, first.kind}); diff != "" {
		t.Errorf("posts (-want +got):\n%s", diff)
	}
	mac := hmac.New(sha256.New, []byte("s3cret"))
	mac.Write(first.body)
	if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); first.signature != want {
		t.Errorf("signature %s, want %s", first.signature, want)
	}
	stop()

	// What happened while it was down comes, and nothing comes twice.
	add(t, store, inventory.ImageAdded{Name: "later", Digest: "sha256:cd"})
	stop = run(t, store, hook)
	if p := <-posts; !strings.Contains(p.text, "later") && !strings.Contains(p.text, "web@") {
		t.Errorf("after a restart: %s", p.text)
	}
	stop()
}

// TestGone: a hook that nobody answers at holds nobody else up, and ends with the server.
func TestGone(t *testing.T) {
	store := open(t)
	url, posts := receiver(t)
	stop := run(t, store, webhook.Hook{Name: "gone", URL: "http://127.0.0.1:1/"}, webhook.Hook{Name: "chat", URL: url})
	begun(t, store, "chat")
	begun(t, store, "gone")
	add(t, store, inventory.ImageAdded{Name: "web"})
	<-posts
	stop()
}

func TestCheck(t *testing.T) {
	for _, h := range []webhook.Hook{{Name: "x", URL: "ftp://a"}, {Name: "x", URL: "http://"}, {Name: "x", URL: "::"}, {Name: "X y", URL: "http://a"}, {Name: "x", URL: "http://a", Kinds: []string{"["}}, {Name: "x", URL: "http://a", Kinds: []string{"image.*", "images.*"}}} {
		if err := h.Check(); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%+v: %v", h, err)
		}
	}
	err := webhook.Hook{Name: "x", URL: "gopher://user:pass@a/b?token=abc"}.Check()
	if err == nil || strings.Contains(err.Error(), "pass") || strings.Contains(err.Error(), "abc") {
		t.Errorf("%v", err)
	}
	if err := (webhook.Hook{Name: "x", URL: "https://a/b"}).Check(); err != nil {
		t.Error(err)
	}
}
