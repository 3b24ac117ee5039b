package inventory

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckHostname(t *testing.T) {
	for name, ok := range map[string]bool{"web": true, "Web-1": true, "web1.rack.example.org": true, "1": true,
		"": false, "web 1": false, "-web": false, "web-": false, "web..org": false, "web_1": false, "web\n": false, strings.Repeat("a", 64): false, strings.Repeat("a.", 127) + "a": false} {
		if err := CheckHostname(name); (err == nil) != ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
