package sign

import (
	"fmt"
	"strings"

	"aead.dev/minisign"

	"ingot/inventory"
)

// Keys are those whose signatures count. With none, everything is trusted.
type Keys []PublicKey

// LoadKeys reads the keys that a configuration names, as [LoadKey] does.
func LoadKeys(names []string) (Keys, error) {
	var keys Keys
	for _, name := range names {
		k, err := LoadKey(name)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// ParseKeys reads keys as [ParseKey] does.
func ParseKeys(texts []string) (Keys, error) {
	var keys Keys
	for _, text := range texts {
		k, err := ParseKey(text)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// maxSignatureBytes bounds a signature; minisign's comments are below 8 KiB.
const maxSignatureBytes = 16 << 10

// Trust is nil when one of the signatures of a manifest document, by whatever name, is
// valid and of one of the keys, or when there are no keys; else inventory.ErrDenied that
// says what was found instead.
func (keys Keys) Trust(document []byte, signatures map[string][]byte) error {
	if len(keys) == 0 {
		return nil
	}
	problem := "it is not signed"
	for _, signature := range signatures {
		_, err := keys.Verify(document, signature)
		if err == nil {
			return nil
		}
		problem = err.Error()
	}
	return fmt.Errorf("the image is not trusted: %s; trusted keys: %s: %w", problem, keys.ids(), inventory.ErrDenied)
}

func (keys Keys) ids() string {
	var ids []string
	for _, k := range keys {
		ids = append(ids, k.ID())
	}
	return strings.Join(ids, ", ")
}

// Signed is what a valid signature says.
type Signed struct {
	// KeyID is of the key; Comment the trusted comment, which the signature covers.
	KeyID, Comment string
}

// Verify checks one signature of a manifest document against the keys. An error says
// which of the two ways it is wrong: by a key that is not among them, or of another
// document.
func (keys Keys) Verify(document, signature []byte) (Signed, error) {
	s, err := parse(signature)
	if err != nil {
		return Signed{}, err
	}
	id := keyID(s.KeyID)
	for _, k := range keys {
		if k.key.ID() != s.KeyID {
			continue
		}
		if !minisign.Verify(k.key, document, signature) {
			return Signed{}, fmt.Errorf("the signature by key %s is of something else: %w", id, inventory.ErrDenied)
		}
		return Signed{id, s.TrustedComment}, nil
	}
	return Signed{}, fmt.Errorf("it is signed by key %s, which is not a trusted one: %w", id, inventory.ErrDenied)
}

// KeyOf is the ID of the key that made a signature; the signature itself is not checked.
// What is no signature is inventory.ErrInvalid.
func KeyOf(signature []byte) (string, error) {
	s, err := parse(signature)
	if err != nil {
		return "", err
	}
	return keyID(s.KeyID), nil
}

func parse(signature []byte) (minisign.Signature, error) {
	var s minisign.Signature
	if len(signature) > maxSignatureBytes || s.UnmarshalText(signature) != nil {
		return s, inventory.Invalid("it is no signature of minisign's")
	}
	return s, nil
}
