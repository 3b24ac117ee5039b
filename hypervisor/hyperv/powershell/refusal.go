package powershell

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"ingot/inventory"
)

// refusedTime is how long a login that was refused is not tried again with the same secret:
// a domain locks accounts after some failures.
const refusedTime = 5 * time.Minute

// refusal is the last login that was refused, of all connections of a runner. The secret is
// known by a keyed hash.
type refusal struct {
	key [sha256.Size]byte

	mu     sync.Mutex
	err    error
	at     time.Time
	secret []byte
}

func newRefusal() *refusal {
	r := new(refusal)
	rand.Read(r.key[:])
	return r
}

func (r *refusal) hash(secret string) []byte {
	h := hmac.New(sha256.New, r.key[:])
	h.Write([]byte(secret))
	return h.Sum(nil)
}

// of is the error that a login with a secret would get again, or nil.
func (r *refusal) of(secret string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil || time.Since(r.at) >= refusedTime || !hmac.Equal(r.secret, r.hash(secret)) {
		return nil
	}
	return r.err
}

// note keeps the error of a login with a secret, if it was refused.
func (r *refusal) note(secret string, err error) {
	if !errors.Is(err, inventory.ErrDenied) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.at, r.secret = err, time.Now(), r.hash(secret)
}

// forget lets the next login be tried.
func (r *refusal) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = nil
}
