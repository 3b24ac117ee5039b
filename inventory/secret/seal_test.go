package secret

import (
	"bytes"
	"strings"
	"testing"
)

func TestSeal(t *testing.T) {
	k, other := Key{[]byte(strings.Repeat("k", keyBytes))}, Key{[]byte(strings.Repeat("x", keyBytes))}
	plain := []byte("hunter2")
	sealed, err := k.Seal("host/kvm1", plain)
	if err != nil {
		t.Fatal(err)
	}
	again, err := k.Seal("host/kvm1", plain)
	if err != nil || bytes.Equal(sealed, again) || bytes.Contains(sealed, plain) {
		t.Errorf("sealed %x and %x, %v", sealed, again, err)
	}
	if got, err := k.Unseal("host/kvm1", sealed); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("opened %q, %v", got, err)
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"other key":   func() ([]byte, error) { return other.Unseal("host/kvm1", sealed) },
		"other place": func() ([]byte, error) { return k.Unseal("host/kvm2", sealed) },
		"changed":     func() ([]byte, error) { return k.Unseal("host/kvm1", changed) },
		"cut":         func() ([]byte, error) { return k.Unseal("host/kvm1", sealed[:5]) },
		"empty":       func() ([]byte, error) { return k.Unseal("host/kvm1", nil) },
	} {
		if got, err := open(); err == nil || got != nil {
			t.Errorf("%s: opened %q", name, got)
		}
	}
}
