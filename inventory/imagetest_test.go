package inventory

import (
	"errors"
	"strings"
	"testing"
)

func TestProven(t *testing.T) {
	bios, uefi := ImageTest{ID: "1", Mode: "bios", Passed: true}, ImageTest{ID: "2", Mode: "uefi", Passed: true}
	failed := ImageTest{ID: "3", Mode: "uefi", Problem: "no phone-home"}
	both := []string{"bios", "uefi"}
	for name, c := range map[string]struct {
		modes []string
		tests []ImageTest
		want  string
	}{
		"all passed":          {both, []ImageTest{bios, uefi}, ""},
		"one is missing":      {both, []ImageTest{bios}, "uefi was not tested"},
		"the newest failed":   {both, []ImageTest{bios, uefi, failed}, "uefi failed (no phone-home)"},
		"mended since":        {both, []ImageTest{bios, failed, uefi}, ""},
		"none":                {both, nil, "bios was not tested, uefi was not tested"},
		"no mode is known":    {nil, []ImageTest{bios}, "not known"},
		"another mode passed": {[]string{"secureboot"}, []ImageTest{uefi}, "secureboot was not tested"},
	} {
		err := Image{Name: "debian-12", Digest: "sha256:0123456789ab", BootModes: c.modes, Tests: c.tests}.Proven()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "ingot image test debian-12@sha256:0123456789ab")):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
