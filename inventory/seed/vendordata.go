package seed

import (
	"bytes"
	_ "embed" // the scrubbing script
	"fmt"
	"mime/multipart"
	"net/textproto"
)

// scrub runs in the installed system after user data was read: the seed keeps its
// instance-id, and the user data, which may hold secrets, is overwritten in place.
//
//go:embed scrub.sh
var scrub []byte

// vendorData is a MIME archive of the phone-home and the scrubbing script. As vendor
// data both stand below what the user gives: a user's own phone_home wins.
func vendorData(in Input) ([]byte, error) {
	type phoneHome struct {
		URL   string   `yaml:"url"`
		Post  []string `yaml:"post"`
		Tries int      `yaml:"tries"`
	}
	if in.PhoneHomeURL == "" {
		return []byte("#cloud-config\n{}\n"), nil
	}
	doc := map[string]phoneHome{"phone_home": {URL: in.PhoneHomeURL, Tries: 20,
		Post: []string{"pub_key_rsa", "pub_key_ecdsa", "pub_key_ed25519", "instance_id", "hostname", "fqdn"}}}
	config, err := marshal("vendor-data", "#cloud-config\n", doc)
	if err != nil {
		return nil, err
	}
	return archive(mimePart{"text/cloud-config", "phone-home.yaml", config}, mimePart{"text/x-shellscript", "scrub.sh", scrub})
}

type mimePart struct {
	kind, name string
	data       []byte
}

// archive packs parts as cloud-init reads them (RFC 2046 multipart/mixed).
func archive(parts ...mimePart) ([]byte, error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if err := w.SetBoundary("ingot-vendor-data"); err != nil {
		return nil, fmt.Errorf("write vendor-data: %w", err)
	}
	fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=%q\nMIME-Version: 1.0\n\n", w.Boundary())
	for _, p := range parts {
		part, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {p.kind + "; charset=\"utf-8\""},
			"Content-Disposition": {"attachment; filename=\"" + p.name + "\""}})
		if err == nil {
			_, err = part.Write(p.data)
		}
		if err != nil {
			return nil, fmt.Errorf("write vendor-data: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write vendor-data: %w", err)
	}
	return b.Bytes(), nil
}
