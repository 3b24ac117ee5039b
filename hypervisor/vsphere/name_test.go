package vsphere

import (
	"errors"
	"net"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/inventory"
)

func TestInventoryName(t *testing.T) {
	end := mark("here", "m-1")
	for name, want := range map[string]string{
		"web 1":                  "web-1-" + end,
		`it's "web" & <db>`:      "it-s-web-db-" + end,
		"büro-日本":                "büro-日本-" + end,
		"$(reboot)":              "reboot-" + end,
		"*?[]%":                  end,
		"..":                     end,
		"a.b":                    "a.b-" + end,
		strings.Repeat("n", 200): strings.Repeat("n", 66) + "-" + end,
	} {
		if got := inventoryName("here", "m-1", name); got != want {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
	}
	long := inventoryName("here", "m-1", strings.Repeat("日", 200))
	if len(long) > nameMax || !utf8.ValidString(long) || !strings.HasSuffix(long, end) {
		t.Errorf("%q has %d bytes", long, len(long))
	}
	if inventoryName("here", "m-1", "a") == inventoryName("there", "m-1", "a") {
		t.Error("two owners' machines have one name")
	}
}

func TestUnescape(t *testing.T) {
	if got := unescape("a%2fb%5cc%25d%2Fe"); got != `a/b\c%d/e` {
		t.Errorf("got %q", got)
	}
}

func TestCheckMAC(t *testing.T) {
	for mac, ok := range map[string]bool{
		"52:54:00:00:00:01": true, "00:50:56:00:00:01": true, "00:50:56:3f:ff:ff": true,
		"00:50:56:40:00:00": false, "00:0c:29:00:00:01": false, "00:05:69:00:00:01": false,
	} {
		hw, _ := net.ParseMAC(mac)
		if err := checkMAC(hw); (err == nil) != ok || err != nil && !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%s: %v", mac, err)
		}
	}
}

// Several switches may have a port group of one name; then its reference is asked for.
func TestNetworkOf(t *testing.T) {
	network := func(kind, value, name string) mo.Network {
		n := mo.Network{Name: name}
		n.Self = types.ManagedObjectReference{Type: kind, Value: value}
		return n
	}
	all := []mo.Network{network("Network", "network-1", "lab"), network("DistributedVirtualPortgroup", "dvportgroup-2", "lab"), network("Network", "network-3", "a%2fb")}
	for name, want := range map[string]string{"a/b": "network-3", "dvportgroup-2": "dvportgroup-2", "network-1": "network-1"} {
		if got, err := networkOf(all, name); err != nil || got.Value != want {
			t.Errorf("%s: %s, %v", name, got.Value, err)
		}
	}
	if _, err := networkOf(all, "lab"); !errors.Is(err, inventory.ErrConflict) || !strings.Contains(err.Error(), "[network-1 dvportgroup-2]") {
		t.Errorf("ambiguous: %v", err)
	}
	if _, err := networkOf(all[:1], ""); err != nil {
		t.Errorf("the only one: %v", err)
	}
}

func TestOlderThan(t *testing.T) {
	for version, old := range map[string]bool{"6.5": true, "6.7.3": false, "8.0.1.0": false, "6.10": false} {
		if olderThan(version, versionMin) != old {
			t.Error(version)
		}
	}
}
