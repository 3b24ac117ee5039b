package sign

import (
	"fmt"
	"os"
	"strings"

	"aead.dev/minisign"

	"ingot/inventory"
)

// PublicKey is a key to check with.
type PublicKey struct{ key minisign.PublicKey }

// ID is the key's name as minisign prints it: 16 hexadecimal digits.
func (k PublicKey) ID() string { return keyID(k.key.ID()) }

func keyID(id uint64) string { return fmt.Sprintf("%016X", id) }

// String is the key in one line of base64, as minisign takes it with -P.
func (k PublicKey) String() string {
	text := k.key.String()
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// ParseKey reads a public key: the line of base64, or the text of a key file. Anything
// else is inventory.ErrInvalid.
func ParseKey(text string) (PublicKey, error) {
	var k minisign.PublicKey
	if strings.Contains(text, "secret key") {
		return PublicKey{}, inventory.Invalid("it is a secret key (want the public one, FILE.pub)")
	}
	if err := k.UnmarshalText([]byte(strings.TrimSpace(text))); err != nil {
		return PublicKey{}, inventory.Invalid("public key %q (want the line of base64 of a minisign public key, RW...)", clip(text))
	}
	return PublicKey{k}, nil
}

func clip(s string) string { return s[:min(len(s), 80)] }

// LoadKey reads what a configuration names: a key itself, or the path of a key file.
func LoadKey(s string) (PublicKey, error) {
	k, err := ParseKey(s)
	if info, statErr := os.Stat(s); err == nil || !strings.ContainsAny(s, "/.") && (statErr != nil || !info.Mode().IsRegular()) {
		return k, err
	}
	text, err := os.ReadFile(s)
	if err != nil {
		return PublicKey{}, fmt.Errorf("read public key: %w", err)
	}
	if k, err = ParseKey(string(text)); err != nil {
		return k, fmt.Errorf("%s: %w", s, err)
	}
	return k, nil
}
