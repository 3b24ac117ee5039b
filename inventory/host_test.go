package inventory

import (
	"errors"
	"strings"
	"testing"
)

func TestHostCheck(t *testing.T) {
	for url, want := range map[string]string{
		"qemu:///system":                     "libvirt",
		"qemu+ssh://root@kvm1/system":        "libvirt",
		"qemu+tls://kvm1/system":             "libvirt",
		"vsphere://admin@vc.example/dc/main": "vsphere",
		"winrm+https://admin@hv1":            "hyperv",
		"ssh+hyperv://admin@hv1":             "hyperv",
		"qemu://kvm1/system":                 "!for this machine",
		"qemu+ssh:///system":                 "!names no machine",
		"http://vc":                          "!scheme",
		"":                                   "!scheme",
		"vsphere://admin:s3cret@vc/dc":       "!password",
		"vsphere://admin:s3%zzcret@vc/dc":    "!can't be read",
	} {
		h := Host{Name: "h1", URL: url}
		err := h.Check()
		if refusal, refused := strings.CutPrefix(want, "!"); refused {
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), refusal) || strings.Contains(err.Error(), "s3") {
				t.Errorf("%q: got %v, want ErrInvalid about %q without the password", url, err, refusal)
			}
			continue
		}
		if err != nil || h.Kind() != HostKind(want) {
			t.Errorf("%q: got %q, %v, want %s", url, h.Kind(), err, want)
		}
	}
	if err := (&Host{Name: "H 1", URL: "qemu:///system"}).Check(); !errors.Is(err, ErrInvalid) {
		t.Errorf("name: %v", err)
	}
}
