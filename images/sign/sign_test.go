package sign_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/images/sign"
	"ingot/inventory"
)

var (
	image    = inventory.Image{Name: "debian-12", Digest: "sha256:" + strings.Repeat("ab", 32), Version: "2026-11-28.1"}
	document = []byte(`{"format":"ingot-master"}`)
	now      = time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)
)

// signer makes a key pair in a folder of its own.
func signer(t *testing.T, password string) (*sign.Signer, sign.PublicKey, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.key")
	public, err := sign.Create(path, password)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sign.OpenSigner(path, func() (string, error) { return password, nil })
	if err != nil {
		t.Fatal(err)
	}
	return s, public, path
}

func TestTrust(t *testing.T) {
	ours, public, _ := signer(t, "")
	theirs, other, _ := signer(t, "")
	good, foreign := ours.Sign(image, document, now), theirs.Sign(image, document, now)
	elsewhere := ours.Sign(image, []byte("another document"), now)
	broken := []byte(strings.Replace(string(good), "debian-12", "debian-13", 1))
	one := func(s []byte) map[string][]byte { return map[string][]byte{"X": s} }
	for name, c := range map[string]struct {
		keys       sign.Keys
		signatures map[string][]byte
		want       string
	}{
		"signed":              {sign.Keys{public}, one(good), ""},
		"one of two keys":     {sign.Keys{other, public}, one(good), ""},
		"one of two is ours":  {sign.Keys{public}, map[string][]byte{"A": foreign, "B": good}, ""},
		"no keys":             {nil, nil, ""},
		"not signed":          {sign.Keys{public}, nil, "it is not signed"},
		"another key":         {sign.Keys{public}, one(foreign), "signed by key " + other.ID()},
		"another document":    {sign.Keys{public}, one(elsewhere), "is of something else"},
		"comment was changed": {sign.Keys{public}, one(broken), "is of something else"},
		"no signature at all": {sign.Keys{public}, one([]byte("hello")), "no signature"},
	} {
		err := c.keys.Trust(document, c.signatures)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!errors.Is(err, inventory.ErrDenied) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	signed, err := sign.Keys{public}.Verify(document, good)
	if err != nil || signed.KeyID != public.ID() || !strings.Contains(signed.Comment, "image:debian-12@"+image.Digest) {
		t.Errorf("%+v, %v", signed, err)
	}
	if id, err := sign.KeyOf(foreign); err != nil || id != other.ID() {
		t.Errorf("key %s, %v", id, err)
	}
}

func TestKeyFiles(t *testing.T) {
	_, public, path := signer(t, "secret")
	for _, name := range []string{path + ".pub", public.String()} {
		if got, err := sign.LoadKey(name); err != nil || got.ID() != public.ID() {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := sign.LoadKey(path); !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), "it is a secret key (want the public one") {
		t.Errorf("a secret key as a public one: %v", err)
	}
	t.Chdir(filepath.Dir(path))
	if got, err := sign.LoadKey(filepath.Base(path)); err == nil || !strings.Contains(err.Error(), "it is a secret key") {
		t.Errorf("a file of this folder: %v, %v", got, err)
	}
	if _, err := sign.Create(path, ""); !errors.Is(err, inventory.ErrConflict) {
		t.Errorf("over a key that is there: %v", err)
	}
	if _, err := sign.OpenSigner(path, nil); !errors.Is(err, inventory.ErrDenied) {
		t.Errorf("without a password: %v", err)
	}
	if _, err := sign.OpenSigner(path, func() (string, error) { return "wrong", nil }); !errors.Is(err, inventory.ErrDenied) || strings.Contains(err.Error(), "secret") {
		t.Errorf("with a wrong password: %v", err)
	}
	if _, err := sign.OpenSigner(path+".pub", nil); err == nil {
		t.Error("a public key signs")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := sign.OpenSigner(path, nil); !errors.Is(err, inventory.ErrDenied) || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("for all to read: %v", err)
	}
	if _, err := sign.OpenSigner(filepath.Join(t.TempDir(), "none"), nil); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("no file: %v", err)
	}
	if _, err := sign.ParseKey("RWnonsense"); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("no key: %v", err)
	}
}

// TestMinisign: Debian's minisign checks our signatures with our keys, and we check its.
func TestMinisign(t *testing.T) {
	tool, err := exec.LookPath("minisign")
	if err != nil {
		t.Skip("minisign is not installed")
	}
	dir := t.TempDir()
	message := filepath.Join(dir, "manifest.json")
	if err := os.WriteFile(message, document, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(input string, args ...string) string {
		t.Helper()
		cmd := exec.Command(tool, args...)
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("minisign %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	s, public, path := signer(t, "")
	if err := os.WriteFile(message+".minisig", s.Sign(image, document, now), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run("", "-V", "-m", message, "-p", path+".pub"); !strings.Contains(out, "image:debian-12@") {
		t.Error(out)
	}
	run("", "-V", "-m", message, "-P", public.String())
	theirs := filepath.Join(dir, "their.key")
	run("pass\npass\n", "-G", "-s", theirs, "-p", theirs+".pub")
	run("pass\n", "-S", "-s", theirs, "-m", message, "-x", filepath.Join(dir, "sig"))
	key, err := sign.LoadKey(theirs + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	signature, err := os.ReadFile(filepath.Join(dir, "sig"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (sign.Keys{key}).Verify(document, signature); err != nil {
		t.Error(err)
	}
	opened, err := sign.OpenSigner(theirs, func() (string, error) { return "pass", nil })
	if err != nil || opened.Public().ID() != key.ID() {
		t.Errorf("%v", err)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte("untrusted comment: x\nRUQ\ntrusted comment: y\nAAAA\n"))
	f.Add([]byte(""))
	key, err := sign.ParseKey("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, signature []byte) {
		if _, err := (sign.Keys{key}).Verify(document, signature); err == nil {
			t.Errorf("%q is a signature", signature)
		}
	})
}
