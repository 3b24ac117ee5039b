package vsphere

import (
	"testing"

	"github.com/vmware/govmomi/vim25/types"
)

func TestBounded(t *testing.T) {
	none, some := int64(-1), int64(4096)
	for want, a := range map[string]types.ResourceAllocationInfo{
		"without limit": {}, "without limit ": {Limit: &none}, "up to 4096 MiB": {Limit: &some},
	} {
		if got := bounded(limit(a), "MiB"); got != want && got+" " != want {
			t.Errorf("%+v: %q", a, got)
		}
	}
}
