package guestrun

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ingot/inventory"
)

// TestStep checks what becomes of scripts. They run on this computer: no cleanup here.
func TestStep(t *testing.T) {
	g := &Guest{channel: localGuest(t), console: newConsole(), log: slog.New(slog.DiscardHandler), sign: make(chan struct{}, 1)}
	g.life, g.fail = context.WithCancelCause(t.Context())
	defer g.fail(nil)
	var output strings.Builder
	o := CustomiseOptions{Output: &output, Progress: func(string) {}}
	if err := o.step(t.Context(), g, Command{Name: "good", Script: "echo fine"}); err != nil || output.String() != "fine\n" {
		t.Errorf("%v, %q", err, output.String())
	}
	for want, c := range map[string]Command{
		`script "bad" ended with status 4: one / two`:    {Name: "bad", Script: "echo one; echo two >&2; exit 4"},
		`script "slow" did not end within 1s: beginning`: {Name: "slow", Script: "echo beginning; sleep 60", Timeout: time.Second},
	} {
		err := o.step(t.Context(), g, c)
		if err == nil || err.Error() != want || !errors.As(err, new(*GuestError)) {
			t.Errorf("%s: %v, want %s", c.Name, err, want)
		}
	}
}

func TestCustomiseRefuses(t *testing.T) {
	for name, o := range map[string]CustomiseOptions{
		"package name":         {Packages: "/x", Install: []string{"-o=x"}},
		"packages from nobody": {Install: []string{"vim"}},
		"script":               {Scripts: []Command{{Script: "\x00"}}},
	} {
		o.Base, o.Dir = "/nowhere", t.TempDir()
		if _, err := Customise(t.Context(), o); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	for name, o := range map[string]InstallOptions{
		"nothing to boot":  {},
		"files, no initrd": {Kernel: "/k", InitrdFiles: map[string][]byte{"/x": nil}},
		"stop, when?":      {Kernel: "/k", StopWhenAccepted: true},
	} {
		o.SizeBytes, o.Dir = 1<<30, t.TempDir()
		if _, err := Install(t.Context(), o); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}
