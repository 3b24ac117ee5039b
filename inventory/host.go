package inventory

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"time"
)

// HostKind is the driver of a host.
type HostKind string

// The kinds of host.
const (
	HostLibvirt HostKind = "libvirt"
	HostVSphere HostKind = "vsphere"
	HostHyperV  HostKind = "hyperv"
)

// Host is a place where VMs run: one hypervisor, or a cluster behind one address.
type Host struct {
	// Name is a DNS label.
	Name string `json:"name"`
	// URL says how it is reached, without a password: qemu:///system,
	// qemu+ssh://user@host/system, qemu+tls://host/system,
	// vsphere://user@vcenter/dc/cluster, winrm+https://user@host, ssh+hyperv://user@host.
	URL string `json:"url"`
	// Thumbprint pins the host's TLS certificate; empty means the system's trust. SSH's
	// known hosts pin keys.
	Thumbprint string `json:"thumbprint,omitempty"`
	// Storage is the pool, datastore or folder that disks go to, Network what NICs are
	// attached to; empty is the driver's default.
	Storage string `json:"storage,omitempty"`
	Network string `json:"network,omitempty"`
	// Prefetch are references of images that are brought to the host ahead of its first
	// VM, whenever they mean another version.
	Prefetch []string `json:"prefetch,omitempty"`
	// Closed takes no new VMs unless they are asked onto it by name.
	Closed  bool      `json:"closed,omitempty"`
	Created time.Time `json:"created"`
}

// hostSchemes are the URL schemes that are known, and whether each names a far machine.
var hostSchemes = map[string]struct {
	kind HostKind
	far  bool
}{
	"qemu": {HostLibvirt, false}, "qemu+unix": {HostLibvirt, false}, "qemu+ssh": {HostLibvirt, true}, "qemu+tls": {HostLibvirt, true},
	"vsphere": {HostVSphere, true}, "winrm+https": {HostHyperV, true}, "ssh+hyperv": {HostHyperV, true},
}

// Kind is the driver that the URL asks for; empty when it asks for none.
func (h *Host) Kind() HostKind {
	scheme, _, _ := strings.Cut(h.URL, "://")
	return hostSchemes[strings.ToLower(scheme)].kind
}

// Check reports the first thing wrong with the host, as ErrInvalid.
func (h *Host) Check() error {
	if err := CheckName(h.Name); err != nil {
		return err
	}
	u, err := url.Parse(h.URL)
	if err != nil {
		return Invalid("host %s: the URL can't be read (want SCHEME://USER@HOST/PATH)", h.Name) // the error would show a password
	}
	scheme, ok := hostSchemes[u.Scheme]
	if !ok {
		return Invalid("host %s: URL scheme %q (want %s)", h.Name, u.Scheme, strings.Join(knownSchemes(), ", "))
	}
	if _, has := u.User.Password(); has {
		return Invalid("host %s: the URL has a password in it: leave it out, it is asked for", h.Name)
	}
	if scheme.far && u.Hostname() == "" {
		return Invalid("host %s: URL %s names no machine", h.Name, h.URL)
	}
	if !scheme.far && u.Host != "" {
		return Invalid("host %s: URL %s is for this machine, and names %s (want qemu:///system, or qemu+ssh://%s/system)", h.Name, h.URL, u.Host, u.Host)
	}
	for _, ref := range h.Prefetch {
		if _, err := ParseImageRef(ref); err != nil {
			return err
		}
	}
	return h.checkThumbprint()
}

// checkThumbprint reports one that can be of no certificate: SHA-256, or SHA-1 as older
// vSphere clients print it, in hex with or without colons.
func (h *Host) checkThumbprint() error {
	raw, err := hex.DecodeString(strings.ReplaceAll(h.Thumbprint, ":", ""))
	if err != nil || len(raw) != 0 && len(raw) != sha256.Size && (len(raw) != sha1.Size || h.Kind() != HostVSphere) {
		return Invalid("host %s: thumbprint %q (want the SHA-256 of its certificate, 64 hex digits)", h.Name, h.Thumbprint)
	}
	return nil
}

func knownSchemes() []string {
	var all []string
	for scheme := range hostSchemes {
		all = append(all, scheme)
	}
	slices.Sort(all)
	return all
}
