package auth

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/inventory"
	"ingot/inventory/sqlstore"
)

func store(t *testing.T) inventory.Store {
	t.Helper()
	s, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "ingot.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestFirstStart makes one token, keeps only its hash in the store, and a copy for the
// local command line.
func TestFirstStart(t *testing.T) {
	s := store(t)
	file := filepath.Join(t.TempDir(), "admin.token")
	first, made, err := Open(t.Context(), s, file)
	if err != nil || len(made) < 20 {
		t.Fatalf("token %q, %v", made, err)
	}
	kept, err := os.ReadFile(file)
	if err != nil || strings.TrimSpace(string(kept)) != made {
		t.Errorf("file holds %q, %v", kept, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file mode %v, %v", info.Mode(), err)
	}
	if first.hash == made || strings.Contains(first.hash, made) {
		t.Error("the token is stored in clear")
	}
	again, none, err := Open(t.Context(), s, file)
	if err != nil || none != "" || again.hash != first.hash {
		t.Errorf("second start: %q, %v", none, err)
	}
}

func TestGuard(t *testing.T) {
	tokens, made, err := Open(t.Context(), store(t), filepath.Join(t.TempDir(), "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	h := tokens.Guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
		func(w http.ResponseWriter, err error) {
			if !errors.Is(err, inventory.ErrDenied) {
				t.Errorf("refused with %v", err)
			}
			w.WriteHeader(http.StatusUnauthorized)
		})
	for name, c := range map[string]struct {
		header string
		want   int
	}{
		"right":        {"Bearer " + made, http.StatusNoContent},
		"none":         {"", http.StatusUnauthorized},
		"empty":        {"Bearer ", http.StatusUnauthorized},
		"wrong":        {"Bearer " + made + "x", http.StatusUnauthorized},
		"the hash":     {"Bearer " + tokens.hash, http.StatusUnauthorized},
		"other scheme": {"Basic " + made, http.StatusUnauthorized},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
	}
}

func TestTokenFileCannotBeKept(t *testing.T) {
	if _, _, err := Open(t.Context(), store(t), filepath.Join(t.TempDir(), "no", "admin.token")); err == nil {
		t.Error("a token that nobody can read was made")
	}
}
