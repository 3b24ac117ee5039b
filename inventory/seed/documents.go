package seed

import (
	"bytes"
	_ "embed" // the scrubbing script
	"fmt"
	"mime/multipart"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"ingot/inventory"
)

// Label is the file-system label that cloud-init's ds-identify looks for.
const Label = "CIDATA"

// Input is all that the documents are made of.
type Input struct {
	Machine *inventory.Machine
	// NICs are the machine's interfaces, from its facts.
	NICs []inventory.NIC
	// Network is where the boot NIC is; nil when not known.
	Network  *inventory.Network
	UserData []byte
	// PhoneHomeURL is where the installed system reports, with its token.
	PhoneHomeURL string
}

// Documents are the NoCloud files. NetworkConfig is version 2.
type Documents struct {
	MetaData, UserData, VendorData, NetworkConfig []byte
}

// InstanceID names one installation; a new generation makes cloud-init run anew.
func InstanceID(m *inventory.Machine) string {
	return fmt.Sprintf("%s-%d", m.ID, m.Spec.Generation)
}

// Make writes the documents. Bad user data (not a form that cloud-init knows) is
// inventory.ErrInvalid.
func Make(in Input) (Documents, error) {
	if err := CheckUserData(in.UserData); err != nil {
		return Documents{}, err
	}
	meta, err := metaData(in)
	if err != nil {
		return Documents{}, err
	}
	network, err := networkConfig(in)
	if err != nil {
		return Documents{}, err
	}
	vendor, err := vendorData(in)
	if err != nil {
		return Documents{}, err
	}
	user := in.UserData
	if len(user) == 0 {
		user = []byte("#cloud-config\n{}\n")
	}
	return Documents{MetaData: meta, UserData: user, VendorData: vendor, NetworkConfig: network}, nil
}

// userDataForms are the first lines that cloud-init acts on (and gzip's magic).
var userDataForms = []string{"#cloud-config", "#!", "#include", "#cloud-boothook", "#part-handler", "## template: jinja",
	"Content-Type: multipart", "MIME-Version:", "#upstart-job", "#cloud-config-archive", "\x1f\x8b"}

// CheckUserData refuses a document that cloud-init would silently ignore.
func CheckUserData(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if !slices.ContainsFunc(userDataForms, func(f string) bool { return bytes.HasPrefix(data, []byte(f)) }) {
		first, _, _ := bytes.Cut(data, []byte("\n"))
		return inventory.Invalid("user data begins with %q, which cloud-init ignores (want #cloud-config or #!/bin/sh as the first line)", first[:min(len(first), 40)])
	}
	if !bytes.HasPrefix(data, []byte("#cloud-config\n")) {
		return nil
	}
	var doc map[string]any
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return inventory.Invalid("user data: %v", err)
	}
	return nil
}

func metaData(in Input) ([]byte, error) {
	m := in.Machine
	doc := struct {
		InstanceID    string   `yaml:"instance-id"`
		LocalHostname string   `yaml:"local-hostname"`
		PublicKeys    []string `yaml:"public-keys,omitempty"`
	}{InstanceID(m), m.HostnameOrName(), m.Spec.SSHKeys}
	return marshal("meta-data", "", doc)
}

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

type ethernet struct {
	Match       map[string]string   `yaml:"match"`
	SetName     string              `yaml:"set-name,omitempty"`
	DHCP4       bool                `yaml:"dhcp4"`
	Optional    bool                `yaml:"optional,omitempty"`
	Addresses   []string            `yaml:"addresses,omitempty"`
	Routes      []map[string]string `yaml:"routes,omitempty"`
	Nameservers map[string][]string `yaml:"nameservers,omitempty"`
}

// networkConfig matches NICs by MAC: the kernel's names of the agent's boot need not be
// those of the installed system. Without static addresses every NIC asks DHCP, and only
// the boot NIC is waited for.
func networkConfig(in Input) ([]byte, error) {
	eths := map[string]ethernet{}
	boot := bootMAC(in)
	for i, mac := range macs(in) {
		e := ethernet{Match: map[string]string{"macaddress": string(mac)}, DHCP4: true, Optional: boot != "" && mac != boot}
		for _, a := range in.Machine.Spec.Addresses {
			if a.MAC == mac {
				e = static(e, a, in.Network)
			}
		}
		eths[fmt.Sprintf("nic%d", i)] = e
	}
	if len(eths) == 0 {
		eths["all"] = ethernet{Match: map[string]string{"name": "e*"}, DHCP4: true}
	}
	return marshal("network-config", "", struct {
		Version   int                 `yaml:"version"`
		Ethernets map[string]ethernet `yaml:"ethernets"`
	}{2, eths})
}

func macs(in Input) []inventory.MAC {
	var out []inventory.MAC
	for _, n := range in.NICs {
		out = append(out, n.MAC)
	}
	if len(out) == 0 {
		out = in.Machine.Identity.MACs
	}
	return out
}

func bootMAC(in Input) inventory.MAC {
	for _, n := range in.NICs {
		if n.Boot {
			return n.MAC
		}
	}
	return ""
}

func static(e ethernet, a inventory.StaticAddress, n *inventory.Network) ethernet {
	e.DHCP4, e.Addresses = false, []string{a.Prefix.String()}
	gateway, dns := a.Gateway, a.DNS
	if n != nil && n.Subnet.Contains(a.Prefix.Addr()) {
		if !gateway.IsValid() {
			gateway = n.Gateway
		}
		if len(dns) == 0 {
			dns = n.DNS
		}
	}
	if gateway.IsValid() {
		e.Routes = []map[string]string{{"to": "default", "via": gateway.String()}}
	}
	if len(dns) > 0 {
		e.Nameservers = map[string][]string{"addresses": texts(dns)}
	}
	return e
}

func texts(as []netip.Addr) []string {
	var out []string
	for _, a := range as {
		out = append(out, a.String())
	}
	return out
}

func marshal(what, head string, doc any) ([]byte, error) {
	var b strings.Builder
	b.WriteString(head)
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return nil, fmt.Errorf("write %s: %w", what, err)
	}
	return []byte(b.String()), nil
}
