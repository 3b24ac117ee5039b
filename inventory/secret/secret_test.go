package secret

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	k, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 || info.Size() != keyBytes {
		t.Errorf("key file has mode %v and %d bytes", info.Mode(), info.Size())
	}
	again, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if k.Sign("p", "a") != again.Sign("p", "a") {
		t.Error("the key changed when it was opened again")
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDamagedKeyFileIsNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Open: %v, want an error that names the file", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "short" {
		t.Errorf("the file is now %q, %v", data, err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no", "key")); err == nil {
		t.Error("a key was made in a directory that is not there")
	}
}

func TestSign(t *testing.T) {
	k := Key{[]byte(strings.Repeat("k", keyBytes))}
	token := k.Sign("guest", "m-1", "3")
	for name, c := range map[string]struct {
		ok      bool
		token   string
		purpose string
		parts   []string
	}{
		"own":               {true, token, "guest", []string{"m-1", "3"}},
		"other generation":  {false, token, "guest", []string{"m-1", "4"}},
		"other machine":     {false, token, "guest", []string{"m-2", "3"}},
		"other purpose":     {false, token, "agent", []string{"m-1", "3"}},
		"parts moved":       {false, token, "guest", []string{"m-13"}},
		"part into purpose": {false, k.Sign("guest\x00m-1", "3"), "guest\x00m-1\x00", []string{"3"}},
		"empty token":       {false, "", "guest", []string{"m-1", "3"}},
		"cut token":         {false, token[:10], "guest", []string{"m-1", "3"}},
	} {
		if got := k.Check(c.token, c.purpose, c.parts...); got != c.ok {
			t.Errorf("%s: %v, want %v", name, got, c.ok)
		}
	}
	other := Key{[]byte(strings.Repeat("x", keyBytes))}
	if other.Check(token, "guest", "m-1", "3") {
		t.Error("another key accepts the token")
	}
}
