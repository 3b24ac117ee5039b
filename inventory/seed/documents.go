package seed

import (
	"fmt"
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

func metaData(in Input) ([]byte, error) {
	m := in.Machine
	doc := struct {
		InstanceID    string   `yaml:"instance-id"`
		LocalHostname string   `yaml:"local-hostname"`
		PublicKeys    []string `yaml:"public-keys,omitempty"`
	}{InstanceID(m), m.HostnameOrName(), m.Spec.SSHKeys}
	return marshal("meta-data", "", doc)
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
