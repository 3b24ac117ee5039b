package seed

import (
	"bytes"
	"slices"

	"gopkg.in/yaml.v3"

	"ingot/inventory"
)

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
