package cli

import (
	"testing"

	"ingot/inventory"
)

func TestOwnKeys(t *testing.T) {
	for url, want := range map[string]bool{"qemu+ssh://root@kvm2/system": true, "ssh+hyperv://me@hv1": true, "winrm+https://me@hv1": false,
		"winrm+https://me@hv1?auth=certificate&cert=c.pem&key=k.pem": true, "vsphere://me@vc1/dc": false} {
		if got := ownKeys(inventory.Host{URL: url}); got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
}
