package agent

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"ingot/images/sign"
	"ingot/inventory"
)

// TestDeployTrust: with keys in the order, an image is written only when one of them
// signed it.
func TestDeployTrust(t *testing.T) {
	s := serveImage(t, 512, cloudInit())
	document, err := s.manifest.Document()
	if err != nil {
		t.Fatal(err)
	}
	key := func() (*sign.Signer, string) {
		path := filepath.Join(t.TempDir(), "key")
		if _, err := sign.Create(path, ""); err != nil {
			t.Fatal(err)
		}
		signer, err := sign.OpenSigner(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return signer, signer.Public().String()
	}
	ours, trusted := key()
	theirs, _ := key()
	by := func(signer *sign.Signer, document []byte) []string {
		return []string{string(signer.Sign(inventory.Image{Name: "debian-12", Digest: s.digest}, document, time.Now()))}
	}
	for _, c := range []struct {
		name             string
		keys, signatures []string
		want             string
	}{
		{"signed", []string{trusted}, append(by(theirs, document), by(ours, document)...), ""},
		{"no keys are configured", nil, nil, ""},
		{"not signed", []string{trusted}, nil, "it is not signed"},
		{"signed by others", []string{trusted}, by(theirs, document), "not a trusted one"},
		{"another image's signature", []string{trusted}, by(ours, []byte("x")), "of something else"},
		{"keys that are none", []string{"nonsense"}, nil, "public key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDisk(t, 64*mib, 512)
			o := deployOrder(t, s, 3)
			o.Deploy.TrustedKeys, o.Deploy.Signatures = c.keys, c.signatures
			err := testAgent(t, s, d).deploy(t.Context(), o, &inventory.Report{})
			if text := contains(err, c.want); text != "" {
				t.Error(text)
			}
			var permanent *permanentError
			if c.want != "" && (!errors.As(err, &permanent) || d.writes.Load() != 0) {
				t.Errorf("error %v, %d writes", err, d.writes.Load())
			}
		})
	}
}
