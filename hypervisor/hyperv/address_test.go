package hyperv

import (
	"errors"
	"strings"
	"testing"

	"ingot/inventory"
)

func TestCleanStorage(t *testing.T) {
	for path, want := range map[string]string{
		"": "", `D:\`: `D:\`, `D:`: `D:\`, `D:\VMs`: `D:\VMs`, `D:/VMs/`: `D:\VMs`, `D:\\VMs\.\a\\b\`: `D:\VMs\a\b`, `\\nas\vms`: `\\nas\vms`, `//nas/vms//x`: `\\nas\vms\x`,
		`C:\Program Files\a.b`: `C:\Program Files\a.b`,
	} {
		if got, err := cleanStorage(path); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", path, got, err, want)
		}
	}
	for _, path := range []string{"VMs", `\VMs`, `D:VMs`, `D:\a\..\b`, `D:\..`, `D:\a.\b`, `D:\a \b`, `D:\a*`, `D:\a:b`, `\\?\D:\a`, `\\.\D:\a`, `\\nas`, "D:\\a\x00", `D:\` + strings.Repeat("x", 100)} {
		if got, err := cleanStorage(path); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%q: got %q, %v", path, got, err)
		}
	}
}

// Each mistake in an address's query is named.
func TestParseLogin(t *testing.T) {
	for query, want := range map[string]string{
		"": "", "auth=ntlm": "", "auth=basic": "", "auth=certificate&cert=/c&key=/k": "",
		"auth=kerberos": "auth=kerberos (want ntlm, basic or certificate)", "auth=basic&auth=ntlm": `"auth" after ? is unknown or is there twice`, "way=basic": `"way" after ?`,
		"auth=certificate": "wants cert=FILE and key=FILE", "auth=certificate&cert=/c": "wants cert=FILE and key=FILE", "cert=/c&key=/k": "are for auth=certificate",
		"auth=certificate&cert=c&key=/k": "full paths", "auth=%zz": "can't be read",
	} {
		_, err := parseLogin(query)
		if (err == nil) != (want == "") || err != nil && (!errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", query, err, want)
		}
	}
	for _, address := range []string{"ssh+hyperv://u@h?auth=basic", "winrm+https://u@h#x", "winrm+https://u@h?auth=basic;x"} {
		if _, err := parseURL(address); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// A machine's own path tells where its folder is, if that can be ours.
func TestHome(t *testing.T) {
	p := newPaths(`D:\New`, "me")
	for path, want := range map[string]string{
		`E:\Old\ingot\me\m-1\machine`: `E:\Old\ingot\me\m-1`, `e:\old\INGOT\me\M-1\Machine`: `e:\old\INGOT\me\M-1`,
		`E:\Old\ingot\me\m-2\machine`: "", `E:\Old\ingot\you\m-1\machine`: "", `E:\Old\xingot\me\m-1\machine`: "", `E:\Old\ingot\me\m-1`: "", `E:\`: "", "": "",
	} {
		if got := p.home(path, "m-1"); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}
