// Package secret holds the installation's key file: it signs statements that come back
// to the server later (a phone-home's token), so that nothing about them needs storing,
// and seals what must be stored (a host's password).
package secret

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Key is the installation's key. It is never logged or marshalled.
type Key struct{ bytes []byte }

const keyBytes = 32

// Open reads the key file, or makes it (mode 0600) when there is none. A file of the
// wrong length is an error: a new key would orphan what the old one signed.
func Open(path string) (Key, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path)
	}
	if err != nil {
		return Key{}, fmt.Errorf("read key file: %w", err)
	}
	if len(data) != keyBytes {
		return Key{}, fmt.Errorf("key file %s has %d bytes instead of %d: restore it from a backup", path, len(data), keyBytes)
	}
	return Key{data}, nil
}

func create(path string) (Key, error) {
	data := make([]byte, keyBytes)
	_, _ = rand.Read(data) // never fails (crypto/rand)
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return Key{}, fmt.Errorf("make key file: %w", err)
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Link(tmp.Name(), path)
	}
	if err = errors.Join(err, os.Remove(tmp.Name())); err != nil {
		return Key{}, fmt.Errorf("make key file: %w", err)
	}
	return Key{data}, nil
}

// Sign returns a token for a statement made of parts; purpose keeps statements of one
// kind from passing as another.
func (k Key) Sign(purpose string, parts ...string) string {
	mac := hmac.New(sha256.New, k.bytes)
	mac.Write([]byte(purpose + "\x00" + strings.Join(parts, "\x00")))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:20])
}

// Check reports whether token is the one that Sign gives, in constant time.
func (k Key) Check(token, purpose string, parts ...string) bool {
	return hmac.Equal([]byte(token), []byte(k.Sign(purpose, parts...)))
}
