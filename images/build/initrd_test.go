package build

import (
	"errors"
	"testing"

	"ingot/inventory"
)

func TestCheckInitrd(t *testing.T) {
	file, link := func() *entry { return &entry{} }, func(to string) *entry { return &entry{link: to} }
	for name, tt := range map[string]struct {
		entries map[string]*entry
		ok      bool
	}{
		"no kernel":              {map[string]*entry{}, true},
		"both":                   {map[string]*entry{"vmlinuz": file(), "initrd.img": file()}, true},
		"by links":               {map[string]*entry{"vmlinuz": link("boot/vmlinuz-6"), "initrd.img": link("boot/initrd.img-6"), "boot/initrd.img-6": file()}, true},
		"by a link from the top": {map[string]*entry{"vmlinuz": file(), "initrd.img": link("/boot/initrd.img-6"), "boot/initrd.img-6": file()}, true},
		"a kernel":               {map[string]*entry{"vmlinuz": file()}, false},
		"a broken one":           {map[string]*entry{"vmlinuz": file(), "initrd.img": link("boot/initrd.img-6")}, false},
	} {
		err := (&tree{entries: tt.entries}).checkInitrd()
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
