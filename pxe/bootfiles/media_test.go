package bootfiles

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestMediumConfig(t *testing.T) {
	got, err := mediumConfig([]string{"quiet", "a.url=http://192.0.2.1/?x=$y;z"})
	if err != nil || !strings.Contains(got, "\tlinux /ingot/vmlinuz 'quiet' 'a.url=http://192.0.2.1/?x=$y;z'\n") {
		t.Errorf("mediumConfig = %q, %v", got, err)
	}
	for _, bad := range []string{"", "two words", "quo'te", "line\nbreak", "nul\x00"} {
		if _, err := mediumConfig([]string{bad}); err == nil {
			t.Errorf("mediumConfig(%q) = nil; want an error", bad)
		}
	}
}

func TestMediumRefusesDevice(t *testing.T) {
	for _, out := range []string{"/dev/null", t.TempDir()} {
		if err := new(Set).USB(t.Context(), Medium{Out: out}); err == nil || !strings.Contains(err.Error(), "dd") {
			t.Errorf("USB(%s) = %v; want a refusal", out, err)
		}
	}
}

func TestMediumNeedsItsFiles(t *testing.T) {
	out := filepath.Join(t.TempDir(), "a.iso")
	if err := new(Set).ISO(t.Context(), Medium{Out: out}); err == nil || !strings.Contains(err.Error(), Kernel) {
		t.Errorf("ISO of an empty set = %v; want an error that names the kernel", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(out), ".*")); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}
