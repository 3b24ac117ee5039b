package cli

import (
	"strings"
	"testing"
)

func TestShortRef(t *testing.T) {
	for ref, want := range map[string]string{
		"": "", "web": "web", "web:stable": "web:stable", "web@sha256:ab": "web@sha256:ab",
		"web@sha256:" + strings.Repeat("0123456789abcdef", 4): "web@sha256:0123456789ab",
	} {
		if got := shortRef(ref); got != want {
			t.Errorf("%s: %s, want %s", ref, got, want)
		}
	}
}
