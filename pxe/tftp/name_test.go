package tftp

import (
	"errors"
	"strings"
	"testing"

	"ingot/inventory"
)

func TestCleanName(t *testing.T) {
	tests := []struct {
		asked, name string
		mac         inventory.MAC
		bad         bool
	}{
		{asked: "snponly.efi", name: "snponly.efi"},
		{asked: "/snponly.efi", name: "snponly.efi"},
		{asked: "//grub//grub.cfg", name: "grub/grub.cfg"},
		{asked: `\EFI\grubx64.efi`, name: "EFI/grubx64.efi"},
		{asked: "52-54-00-12-34-56/snponly.efi", name: "snponly.efi", mac: "52:54:00:12:34:56"},
		{asked: "/52:54:00:12:34:56//grub/x", name: "grub/x", mac: "52:54:00:12:34:56"},
		{asked: "52-54-00-12-34-56", name: "52-54-00-12-34-56"},
		{asked: "a/../b", bad: true},
		{asked: "..", bad: true},
		{asked: "", bad: true},
		{asked: "///", bad: true},
		{asked: "a\nb", bad: true},
		{asked: strings.Repeat("a", 300), bad: true},
	}
	for _, tt := range tests {
		name, mac, err := cleanName(tt.asked)
		if name != tt.name || mac != tt.mac || (err != nil) != tt.bad {
			t.Errorf("cleanName(%q) = %q, %q, %v", tt.asked, name, mac, err)
		}
		if err != nil && !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("cleanName(%q): %v is not ErrInvalid", tt.asked, err)
		}
	}
}

func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"a", "/a//b", "..", "52-54-00-12-34-56/x", `\\`, "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		name, _, err := cleanName(asked)
		if err == nil && (name == "" || name[0] == '/' || strings.Contains("/"+name+"/", "/../") || strings.Contains(name, "//")) {
			t.Errorf("cleanName(%q) = %q", asked, name)
		}
	})
}
