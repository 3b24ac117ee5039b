package inventory

import (
	"errors"
	"testing"
)

func TestParseMAC(t *testing.T) {
	for in, want := range map[string]MAC{
		"52:54:00:12:34:56":     "52:54:00:12:34:56",
		" 52-54-00-AB-CD-EF ":   "52:54:00:ab:cd:ef",
		"5254.0012.3456":        "52:54:00:12:34:56",
		"525400123456":          "52:54:00:12:34:56",
		"":                      "",
		"52:54:00:12:34":        "",
		"52:54:00:12:34:56:78":  "",
		"01:00:5e:00:00:01":     "",
		"ff:ff:ff:ff:ff:ff":     "",
		"00:00:00:00:00:00":     "",
		"02:00:5e:10:00:00:00:": "",
		"525400-123456":         "",
		"gg:54:00:12:34:56":     "",
	} {
		got, err := ParseMAC(in)
		if got != want || (err == nil) != (want != "") || (err != nil && !errors.Is(err, ErrInvalid)) {
			t.Errorf("ParseMAC(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestMACForms(t *testing.T) {
	m := MAC("52:54:00:12:34:56")
	if got := m.Hyphened(); got != "52-54-00-12-34-56" {
		t.Errorf("Hyphened = %s", got)
	}
	back, err := MACFrom(m.Bytes())
	if err != nil || back != m {
		t.Errorf("MACFrom(Bytes) = %s, %v", back, err)
	}
	if MAC("").Bytes() != nil {
		t.Error("no address has bytes")
	}
}

func FuzzParseMAC(f *testing.F) {
	for _, s := range []string{"52:54:00:12:34:56", "52-54-00-12-34-56", "5254.0012.3456", "525400123456", "::::::", "0000000000000", "01:02"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMAC(s)
		if err != nil {
			return
		}
		for _, form := range []string{string(m), m.Hyphened()} {
			if again, err := ParseMAC(form); err != nil || again != m {
				t.Errorf("ParseMAC(%q) = %q, %v; want %q", form, again, err, m)
			}
		}
	})
}
