package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Seal encrypts a secret for the place it is kept at ("host/kvm1"); it opens nowhere
// else. AES-256-GCM with a random nonce in front (NIST SP 800-38D), under a key derived
// for sealing alone (RFC 5869).
func (k Key) Seal(place string, plain []byte) ([]byte, error) {
	box, err := k.box()
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, box.NonceSize(), box.NonceSize()+len(plain)+box.Overhead())
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	return box.Seal(nonce, nonce, plain, []byte(place)), nil
}

// Unseal decrypts what Seal gave for the same place. Another key file, another place or
// a changed byte is an error.
func (k Key) Unseal(place string, sealed []byte) ([]byte, error) {
	box, err := k.box()
	if err != nil {
		return nil, err
	}
	n := box.NonceSize()
	if len(sealed) < n {
		return nil, errors.New("open sealed secret: it is cut short")
	}
	plain, err := box.Open(nil, sealed[:n], sealed[n:], []byte(place))
	if err != nil {
		return nil, fmt.Errorf("open sealed secret of %s: sealed with another key file, or changed", place)
	}
	return plain, nil
}

func (k Key) box() (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, k.bytes, nil, "ingot seal", 32)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return cipher.NewGCM(block)
}
