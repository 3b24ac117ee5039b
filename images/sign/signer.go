package sign

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"aead.dev/minisign"

	"ingot/inventory"
)

// Signer holds a secret key.
type Signer struct{ key minisign.PrivateKey }

// maxKeyBytes bounds a key file; minisign's are below 300 bytes.
const maxKeyBytes = 4 << 10

// OpenSigner reads a secret key file of minisign's. One that is encrypted needs its
// password, which password is asked for; nil stands for none. A file that others than
// its owner may read is inventory.ErrDenied.
func OpenSigner(path string, password func() (string, error)) (*Signer, error) {
	text, err := readKey(path)
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	if !minisign.IsEncrypted(text) {
		var key minisign.PrivateKey
		if err := key.UnmarshalText(text); err != nil {
			return nil, inventory.Invalid("signing key %s: it is no secret key of minisign's", path)
		}
		return &Signer{key}, nil
	}
	if password == nil {
		return nil, fmt.Errorf("signing key %s is encrypted, and no password is given: %w", path, inventory.ErrDenied)
	}
	secret, err := password()
	if err != nil {
		return nil, fmt.Errorf("password of signing key %s: %w", path, err)
	}
	key, err := minisign.DecryptKey(secret, text)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: the password is wrong: %w", path, inventory.ErrDenied)
	}
	return &Signer{key}, nil
}

func readKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, inventory.NotFound("key file", path)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxKeyBytes:
		return nil, inventory.Invalid("%s is no key file", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s may be read by others than its owner: chmod 600 %s: %w", path, path, inventory.ErrDenied)
	}
	return os.ReadFile(path)
}

// Create makes a pair of keys: the secret one in path, encrypted unless password is
// empty, the public one in path with ".pub". Files that are there stay:
// inventory.ErrConflict.
func Create(path, password string) (PublicKey, error) {
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		return PublicKey{}, fmt.Errorf("make key: %w", err)
	}
	secret, err := private.MarshalText()
	if password != "" {
		secret, err = minisign.EncryptKey(password, private)
	}
	if err != nil {
		return PublicKey{}, fmt.Errorf("make key: %w", err)
	}
	out := PublicKey{public}
	open, err := public.MarshalText()
	if err != nil {
		return out, fmt.Errorf("make key: %w", err)
	}
	if err := writeNew(path, secret, 0o600); err != nil {
		return out, err
	}
	if err := writeNew(path+".pub", append(open, '\n'), 0o644); err != nil {
		return out, errors.Join(err, os.Remove(path))
	}
	return out, nil
}

func writeNew(path string, text []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return inventory.Conflict("key file %s is there already: name another one", path)
	}
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write key: %w", err), os.Remove(path))
	}
	return nil
}

// Public is the key that others check with.
func (s *Signer) Public() PublicKey { return PublicKey{s.key.Public().(minisign.PublicKey)} }

// Sign signs an image's manifest document. The trusted comment names the image.
func (s *Signer) Sign(image inventory.Image, document []byte, now time.Time) []byte {
	comment := strings.TrimSpace(fmt.Sprintf("timestamp:%d\tfile:manifest.json\timage:%s@%s\t%s", now.Unix(), image.Name, image.Digest, image.Version))
	return minisign.SignWithComments(s.key, document, comment, "signature of an Ingot image")
}
