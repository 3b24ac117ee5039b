// Package auth knows who may use the API. There is one admin token so far: made at the
// first start, printed once, stored as a hash; a copy for the local command line lies in
// the data directory, readable by its owner alone.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"ingot/inventory"
)

const setting = "admin-token-sha256"

// Tokens checks API tokens.
type Tokens struct{ hash string }

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Open loads the admin token's hash, or makes the token. made is the new token, empty
// when there was one already.
func Open(ctx context.Context, s inventory.Store, file string) (t *Tokens, made string, err error) {
	t = &Tokens{}
	err = s.Update(ctx, func(x inventory.Tx) error {
		made = ""
		if t.hash, err = x.Setting(ctx, setting); err != nil || t.hash != "" {
			return err
		}
		made = rand.Text()
		t.hash = hash(made)
		return x.PutSetting(ctx, setting, t.hash)
	})
	if err != nil {
		return nil, "", fmt.Errorf("open tokens: %w", err)
	}
	if made == "" {
		return t, "", nil
	}
	if err := os.WriteFile(file, []byte(made+"\n"), 0o600); err != nil {
		return nil, "", fmt.Errorf("keep the admin token: %w", err)
	}
	return t, made, nil
}

// Check reports whether a request carries the admin token: ErrDenied when not.
func (t *Tokens) Check(r *http.Request) error {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || subtle.ConstantTimeCompare([]byte(hash(token)), []byte(t.hash)) != 1 {
		return fmt.Errorf("API token: %w", inventory.ErrDenied)
	}
	return nil
}

// Guard wraps a handler so that it needs the token.
func (t *Tokens) Guard(next http.Handler, refuse func(http.ResponseWriter, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := t.Check(r); err != nil {
			refuse(w, errors.Join(err))
			return
		}
		next.ServeHTTP(w, r)
	})
}
