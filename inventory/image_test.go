package inventory

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseImageRef(t *testing.T) {
	hex := strings.Repeat("0a", 32)
	for in, want := range map[string]ImageRef{
		"debian-12":                      {Name: "debian-12", Channel: "stable"},
		"debian-12:nightly":              {Name: "debian-12", Channel: "nightly"},
		"win.2022:stable":                {Name: "win.2022", Channel: "stable"},
		"debian-12@sha256:" + hex:        {Name: "debian-12", Digest: "sha256:" + hex},
		"debian-12@sha256:0123456789ab":  {Name: "debian-12", Digest: "sha256:0123456789ab"},
		"":                               {},
		":stable":                        {},
		"debian-12:":                     {},
		"debian-12:a:b":                  {},
		"Debian":                         {},
		"debian..12":                     {},
		"../etc":                         {},
		"debian-12@":                     {},
		"debian-12@sha256:short":         {},
		"debian-12@sha256:0123456789A":   {},
		"debian-12@sha512:0123456789ab":  {},
		"debian-12@sha256:" + hex + "00": {},
		"debian-12 ":                     {},
	} {
		got, err := ParseImageRef(in)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("ParseImageRef(%q) (-want +got):\n%s", in, d)
		}
		if (err == nil) != (want.Name != "") || (err != nil && !errors.Is(err, ErrInvalid)) {
			t.Errorf("ParseImageRef(%q): %v", in, err)
		}
	}
}

func FuzzParseImageRef(f *testing.F) {
	for _, s := range []string{"debian-12", "debian-12:stable", "debian-12@sha256:0123456789ab", "a.b.c:d", "@", ":", "x@sha256:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := ParseImageRef(s)
		if err != nil {
			return
		}
		if again, err := ParseImageRef(ref.String()); err != nil || again != ref {
			t.Errorf("ParseImageRef(%q) = %+v, %v; want %+v", ref, again, err, ref)
		}
	})
}
